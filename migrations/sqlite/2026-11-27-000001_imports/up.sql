-- PostgreSQL notes the imports that run. Here the lock of the file tells whether anybody writes.
SELECT 1;
