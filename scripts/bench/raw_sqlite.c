/* The limit that creates on SQLite are held against: the statements of a create, on the SQLite that
 * the service is built with, from one thread, in groups, synchronous=FULL. There is no savepoint around
 * each: that is what it costs to answer every request by itself.
 *
 * Arguments: a database to insert into; one that the service has written to, and the id behind which
 * stand customers that it has created, which are inserted again and again; seconds; how many make a
 * group, up to 64. Prints customers a second. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LARGEST_GROUP = 64, SAMPLES = 1000, COLUMNS = 40, TABLES = 4 };

/* What becomes of a column. */
enum kind { SAME, NOTHING, ID, ACCOUNT, KEY };

struct table {
    const char *name, *owner;
    int columns, rows, next;
    enum kind kinds[COLUMNS];
    sqlite3_value **values; /* of all rows, one after the other */
    sqlite3_int64 *owners;
    sqlite3_stmt *insert;
};

static struct table tables[TABLES] = {
    {"customers", "id"}, {"customer_keys", "id"}, {"customer_phones", "customer_id"},
    {"customer_history", "customer_id"},
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void check(sqlite3 *db, int is_fine) {
    if (is_fine) return;
    fprintf(stderr, "raw_sqlite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    check(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    return statement;
}

static void run(sqlite3 *db, sqlite3_stmt *statement) {
    check(db, sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_reset(statement);
}

static enum kind kind(const char *table, const char *owner, const char *column) {
    if (!strcmp(column, owner)) return ID;
    if (!strcmp(column, "id")) return NOTHING;
    if (!strcmp(column, "account_key")) return KEY;
    if (strcmp(column, "customer_account")) return SAME;
    return strcmp(table, "customers") ? KEY : ACCOUNT;
}

/* Reads the rows of the customers behind an id, and prepares to insert such. */
static void load(struct table *table, sqlite3 *source, sqlite3 *db, sqlite3_int64 behind) {
    char sql[1024];
    snprintf(sql, sizeof sql, "SELECT * FROM %s WHERE %s > ?1 AND %s <= ?1 + %d ORDER BY %s",
             table->name, table->owner, table->owner, SAMPLES, table->owner);
    sqlite3_stmt *select = prepare(source, sql);
    sqlite3_bind_int64(select, 1, behind);
    int owner = 0, end = snprintf(sql, sizeof sql, "INSERT INTO %s (", table->name);
    table->columns = sqlite3_column_count(select);
    for (int i = 0; i < table->columns; i++) {
        const char *column = sqlite3_column_name(select, i);
        if (!strcmp(column, table->owner)) owner = i;
        table->kinds[i] = kind(table->name, table->owner, column);
        end += snprintf(sql + end, sizeof sql - end, "%s%s", i ? ", " : "", column);
    }
    end += snprintf(sql + end, sizeof sql - end, ") VALUES (");
    for (int i = 0; i < table->columns; i++)
        end += snprintf(sql + end, sizeof sql - end, i ? ", ?" : "?");
    snprintf(sql + end, sizeof sql - end, ")%s",
             strcmp(table->name, "customers") ? "" : " ON CONFLICT (account_key) DO NOTHING");
    table->insert = prepare(db, sql);
    table->values = calloc(4 * SAMPLES * table->columns, sizeof *table->values);
    table->owners = calloc(4 * SAMPLES, sizeof *table->owners);
    for (; sqlite3_step(select) == SQLITE_ROW; table->rows++) {
        table->owners[table->rows] = sqlite3_column_int64(select, owner);
        for (int i = 0; i < table->columns; i++)
            table->values[table->rows * table->columns + i] =
                sqlite3_value_dup(sqlite3_column_value(select, i));
    }
    sqlite3_finalize(select);
}

/* Inserts the rows of one customer as those of another. */
static void insert(struct table *table, sqlite3 *db, sqlite3_int64 owner, sqlite3_int64 id) {
    char account[32], key[32];
    snprintf(account, sizeof account, "CL%06lld", id);
    snprintf(key, sizeof key, "cl%06lld", id);
    while (table->next < table->rows && table->owners[table->next] < owner) table->next++;
    for (; table->next < table->rows && table->owners[table->next] == owner; table->next++) {
        for (int i = 0; i < table->columns; i++) {
            sqlite3_value *value = table->values[table->next * table->columns + i];
            switch (table->kinds[i]) {
            case SAME: sqlite3_bind_value(table->insert, i + 1, value); break;
            case NOTHING: sqlite3_bind_null(table->insert, i + 1); break;
            case ID: sqlite3_bind_int64(table->insert, i + 1, id); break;
            case ACCOUNT: sqlite3_bind_text(table->insert, i + 1, account, -1, SQLITE_STATIC); break;
            case KEY: sqlite3_bind_text(table->insert, i + 1, key, -1, SQLITE_STATIC); break;
            }
        }
        run(db, table->insert);
    }
}

int main(int argc, char **argv) {
    sqlite3 *db, *source;
    int group = argc == 6 ? atoi(argv[5]) : 0;
    if (group < 1 || group > LARGEST_GROUP) return 2;
    check(NULL, sqlite3_open(argv[1], &db) == SQLITE_OK);
    check(NULL, sqlite3_open(argv[2], &source) == SQLITE_OK);
    check(db, sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                               "PRAGMA foreign_keys = ON; PRAGMA cache_size = -24576;"
                               "PRAGMA wal_autocheckpoint = 8000;",
                           NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_int64 behind = atoll(argv[3]);
    for (int i = 0; i < TABLES; i++) load(&tables[i], source, db, behind);

    /* What is searched of each sample, as JSON. */
    struct table *customers = &tables[0];
    char **texts = calloc(customers->rows, sizeof *texts);
    sqlite3_stmt *text = prepare(source, "SELECT json_quote(searched_text) FROM customer_keys WHERE id = ?1");
    for (int i = 0; i < customers->rows; i++) {
        sqlite3_bind_int64(text, 1, customers->owners[i]);
        check(source, sqlite3_step(text) == SQLITE_ROW);
        texts[i] = strdup((const char *)sqlite3_column_text(text, 0));
        sqlite3_reset(text);
    }
    sqlite3_finalize(text);
    sqlite3_close(source);

    sqlite3_stmt *begin = prepare(db, "BEGIN IMMEDIATE"), *commit = prepare(db, "COMMIT");
    sqlite3_stmt *last = prepare(db, "SELECT seq FROM sqlite_sequence WHERE name = 'customers'");
    sqlite3_stmt *search = prepare(db,
        "INSERT INTO customer_search (rowid, searched_text)"
        " SELECT value ->> 0, value ->> 1 FROM json_each(?1)");
    sqlite3_stmt *count = prepare(db, "UPDATE customer_totals SET live = live + ?1");
    static char searched[LARGEST_GROUP * 2048];
    double start = now(), end = start + atof(argv[4]);
    long made = 0;
    int sample = 0;
    while (now() < end) {
        int length = 0;
        run(db, begin);
        for (int i = 0; i < group; i++, made++, sample++) {
            if (sample == customers->rows) {
                sample = 0;
                for (int t = 0; t < TABLES; t++) tables[t].next = 0;
            }
            sqlite3_int64 owner = customers->owners[sample];
            check(db, sqlite3_step(last) == SQLITE_ROW);
            sqlite3_int64 id = sqlite3_column_int64(last, 0) + 1;
            sqlite3_reset(last);
            for (int t = 0; t < TABLES; t++) insert(&tables[t], db, owner, id);
            length += snprintf(searched + length, sizeof searched - length, "%s[%lld,%s]",
                               i ? "," : "[", id, texts[sample]);
        }
        snprintf(searched + length, sizeof searched - length, "]");
        sqlite3_bind_text(search, 1, searched, -1, SQLITE_STATIC);
        run(db, search);
        sqlite3_bind_int(count, 1, group);
        run(db, count);
        run(db, commit);
    }
    printf("%.0f\n", made / (now() - start));
    return 0;
}
