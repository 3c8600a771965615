/* The limit that creates on SQLite are held against: the statement that a create runs, on the
 * SQLite that the service is built with, from one thread, in groups of 64, synchronous=FULL.
 *
 * Arguments: a migrated database, seconds. Prints rows a second. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GROUP = 64 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void run(sqlite3 *db, const char *sql) {
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, error);
        exit(1);
    }
}

int main(int argc, char **argv) {
    sqlite3 *db;
    sqlite3_stmt *insert;
    if (argc != 3 || sqlite3_open(argv[1], &db) != SQLITE_OK) return 2;
    run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    const char *sql =
        "INSERT INTO customers (id, brand_id, customer_account, account_key, name,"
        " registration_number, main_address_line1, main_address_city, active, is_reseller,"
        " reseller_level, charge_vat, apply_vat_auto_reverse_operators, on_call_duty, vip,"
        " created_at, updated_at)"
        " VALUES (?1, 1, ?2, ?3, ?4, '832104175', '12 rue de la Paix', 'Paris',"
        " 1, 0, 0, 1, 0, 0, 0, ?5, ?5) ON CONFLICT (account_key) DO NOTHING";
    if (sqlite3_prepare_v2(db, sql, -1, &insert, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s\n", sqlite3_errmsg(db));
        return 1;
    }
    sqlite3_stmt *last;
    sqlite3_prepare_v2(db, "SELECT max(id) FROM customers", -1, &last, NULL);
    sqlite3_int64 id = sqlite3_step(last) == SQLITE_ROW ? sqlite3_column_int64(last, 0) : 0;
    sqlite3_finalize(last);

    double start = now(), end = start + atof(argv[2]);
    long rows = 0;
    while (now() < end) {
        run(db, "BEGIN IMMEDIATE");
        for (int i = 0; i < GROUP; i++, rows++) {
            char account[32], key[32], name[48];
            id++;
            snprintf(account, sizeof account, "CL%06lld", id);
            snprintf(key, sizeof key, "cl%06lld", id);
            snprintf(name, sizeof name, "Société %lld", id);
            sqlite3_bind_int64(insert, 1, id);
            sqlite3_bind_text(insert, 2, account, -1, SQLITE_TRANSIENT);
            sqlite3_bind_text(insert, 3, key, -1, SQLITE_TRANSIENT);
            sqlite3_bind_text(insert, 4, name, -1, SQLITE_TRANSIENT);
            sqlite3_bind_int64(insert, 5, 1785840147000000LL + id);
            if (sqlite3_step(insert) != SQLITE_DONE) {
                fprintf(stderr, "%s\n", sqlite3_errmsg(db));
                return 1;
            }
            sqlite3_reset(insert);
        }
        run(db, "COMMIT");
    }
    printf("%.0f\n", rows / (now() - start));
    return 0;
}
