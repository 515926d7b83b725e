/* crl_entry.c: fuzz target of the entries of a CRL that comes in pieces (the signer reads them from core): what is taken is written so again, other readers read the
 * same in it, and no rule of lint.def is broken by a list that has it. */
#include "base/log.h"
#include "crypt/crl_stream.h"
#include "crypt/der.h"
#include "crypt/dn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A list with these entries by nobody. */
static void list_put(struct span entries, struct buf *out)
{
    static const char name[] = "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01\x41";
    size_t all = der_begin(out, DER_SEQUENCE), tbs = der_begin(out, DER_SEQUENCE);
    der_put_small(out, 1);
    buf_put_span(out, sig_alg_der(SIG_ECDSA_SHA256));
    buf_put(out, name, sizeof name - 1);
    der_put_time(out, 1790000000);
    der_put_time(out, 1790000600);
    size_t list = der_begin(out, DER_SEQUENCE);
    buf_put_span(out, entries);
    der_end(out, list);
    size_t wrap = der_begin(out, DER_CONTEXT_CONS(0)), exts = der_begin(out, DER_SEQUENCE);
    ext_put_aki(out, SPAN_LIT("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"));
    struct ext_mark x = ext_begin(out, EXT_CRL_NUMBER, false);
    der_put_small(out, 7);
    ext_end(out, x);
    der_end(out, exts);
    der_end(out, wrap);
    der_end(out, tbs);
    buf_put_span(out, sig_alg_der(SIG_ECDSA_SHA256));
    der_put_bits(out, SPAN_LIT("\x30\x06\x02\x01\x01\x02\x01\x01"));
    der_end(out, all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct lint_entries lint = { .n = 0 };
    struct crl_entry e, other;
    uint8_t again[CRL_ENTRY_MAX];
    const size_t whole = crl_whole(in);
    size_t taken = 0;
    INVARIANT(whole <= size);
    for (struct span at = in; crl_decode(&in, &e); at = in, taken++) {
        struct span same = span_of(at.p, at.n - in.n);
        INVARIANT(crl_encode(&e, again) == same.n && memcmp(again, same.p, same.n) == 0);
        INVARIANT(crl_next(&same, &other) && same.n == 0 && span_eq(e.serial, other.serial) && e.revoked_at == other.revoked_at && e.reason == other.reason);
        if (lint_release_entry(&lint, e.serial, NULL)) {
            in = at;
            break;
        }
    }
    size_t n = size - in.n;
    INVARIANT(n <= whole);
    if (taken && n) {
        struct buf list = BUF_INIT(0);
        struct lint_report report;
        list_put(span_of(data, n), &list);
        lint_judge(LINT_CRL, buf_span(&list), &report);
        INVARIANT(report.errors == 0);
        buf_free(&list);
    }
    return 0;
}

#include "t/fuzz/replay.h"
