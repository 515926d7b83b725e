/* crypt_der.c: DER reader and writer, PEM, hashes against published values. */
#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/hash.h"
#include "crypt/pem.h"
#include "t/tap.h"

static void reader(void)
{
    static const struct { struct span in; enum err want; const char *what; } rows[] = {
        { SPAN_LIT("\x30\x03\x02\x01\x05"), CE_OK, "a SEQUENCE of one INTEGER" },
        { SPAN_LIT("\x30\x80\x02\x01\x05\0\0"), CE_BAD_DER, "indefinite length" },
        { SPAN_LIT("\x30\x81\x03\x02\x01\x05"), CE_BAD_DER, "a length of two bytes where one is enough" },
        { SPAN_LIT("\x30\x82\x00\x80"), CE_BAD_DER, "a length with a leading zero" },
        { SPAN_LIT("\x30\x85\x01\0\0\0\0"), CE_BAD_DER, "a length of five bytes" },
        { SPAN_LIT("\x30\x84\xff\xff\xff\xff"), CE_TRUNCATED, "a length beyond the end" },
        { SPAN_LIT("\x30\x04\x02\x01\x05"), CE_TRUNCATED, "one byte short" },
        { SPAN_LIT("\x30\x03\x02\x01\x05\x00"), CE_TRAILING, "one byte too many" },
        { SPAN_LIT("\x30\x03\x02\x02\x05"), CE_TRUNCATED, "an element longer than the one around it" },
        { SPAN_LIT("\x3f\x21\x00"), CE_BAD_DER, "a tag of two bytes" },
        { SPAN_LIT(""), CE_TRUNCATED, "nothing" },
        { SPAN_LIT("\x30"), CE_TRUNCATED, "a tag alone" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        ok(der_check(rows[i].in) == rows[i].want, "%s: %s", rows[i].what, err_name(rows[i].want));
    uint8_t deep[2 * 40];
    for (int i = 0; i < 40; i++)
        deep[2 * i] = 0x30, deep[2 * i + 1] = (uint8_t)(2 * (39 - i));
    ok(der_check(span_of(deep, sizeof deep)) == CE_BAD_DER, "40 nested SEQUENCEs are too deep");
}

static void values(void)
{
    struct span in, out;
    int64_t v;
    bool b;
    in = SPAN_LIT("\x02\x02\x00\x80");
    ok(der_get_uint(&in, &out) == CE_OK && out.n == 1 && out.p[0] == 0x80, "INTEGER 128 loses its sign byte");
    in = SPAN_LIT("\x02\x01\x80");
    ok(der_get_uint(&in, &out) == CE_BAD_DER, "a negative INTEGER is refused");
    in = SPAN_LIT("\x02\x02\x00\x7f");
    ok(der_get_uint(&in, &out) == CE_BAD_DER, "a padded INTEGER is refused");
    in = SPAN_LIT("\x02\x00");
    ok(der_get_uint(&in, &out) == CE_BAD_DER, "an empty INTEGER is refused");
    in = SPAN_LIT("\x02\x08\x40\0\0\0\0\0\0\0");
    ok(der_get_small(&in, &v) == CE_BAD_DER, "2^62 is not small");
    in = SPAN_LIT("\x01\x01\x01");
    ok(der_get_bool(&in, &b) == CE_BAD_DER, "TRUE is FF and nothing else");
    in = SPAN_LIT("\x03\x02\x01\x80");
    ok(der_get_bits(&in, &out) == CE_BAD_DER, "unused bits are refused");
    in = SPAN_LIT("\x06\x02\x80\x01");
    ok(der_get_oid(&in, &out) == CE_BAD_DER, "a padded OID is refused");
    in = SPAN_LIT("\x06\x02\x2a\x86");
    ok(der_get_oid(&in, &out) == CE_BAD_DER, "an unfinished OID is refused");
}

static void times(void)
{
    static const struct { struct span in; enum err want; int64_t at; const char *what; } rows[] = {
        { SPAN_LIT("\x17\x0d" "491231235959Z"), CE_OK, 2524607999, "UTCTime to 2049" },
        { SPAN_LIT("\x18\x0f" "20500101000000Z"), CE_OK, 2524608000, "GeneralizedTime from 2050" },
        { SPAN_LIT("\x17\x0d" "240229000000Z"), CE_OK, 1709164800, "a leap day" },
        { SPAN_LIT("\x17\x0d" "230229000000Z"), CE_BAD_DER, 0, "no leap day" },
        { SPAN_LIT("\x17\x0d" "231301000000Z"), CE_BAD_DER, 0, "month 13" },
        { SPAN_LIT("\x17\x0d" "230101240000Z"), CE_BAD_DER, 0, "hour 24" },
        { SPAN_LIT("\x17\x0b" "2301010000Z"), CE_BAD_DER, 0, "no seconds" },
        { SPAN_LIT("\x17\x0d" "2301010000001"), CE_BAD_DER, 0, "no Z" },
        { SPAN_LIT("\x17\x0d" "23010100 000Z"), CE_BAD_DER, 0, "a blank" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct span in = rows[i].in;
        int64_t at = 0;
        enum err e = der_get_time(&in, &at);
        ok(e == rows[i].want && (e || at == rows[i].at), "time: %s", rows[i].what);
        if (e)
            continue;
        struct buf b = BUF_INIT(0);
        der_put_time(&b, at);
        ok(span_eq(buf_span(&b), rows[i].in), "and it is written back alike");
        buf_free(&b);
    }
}

static void writer(void)
{
    static const size_t sizes[] = { 0, 127, 128, 255, 256, 65535, 65536, 70000 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        CLEANUP(buf_free) struct buf b = BUF_INIT(0), c = BUF_INIT(0);
        CLEANUP(mem_free_p) uint8_t *bytes = mem_calloc(1, sizes[i] + 1);
        size_t at = der_begin(&b, DER_SEQUENCE);
        der_put(&b, DER_OCTET_STRING, span_of(bytes, sizes[i]));
        der_end(&b, at);
        size_t inner = der_header_size(sizes[i]) + sizes[i];
        der_put_header(&c, DER_SEQUENCE, inner);
        der_put(&c, DER_OCTET_STRING, span_of(bytes, sizes[i]));
        ok(der_check(buf_span(&b)) == CE_OK && span_eq(buf_span(&b), buf_span(&c)), "%zu bytes: back-patched and computed lengths agree", sizes[i]);
    }
    struct buf b = BUF_INIT(10);
    size_t at = der_begin(&b, DER_SEQUENCE);
    der_put(&b, DER_OCTET_STRING, SPAN_LIT("0123456789"));
    der_end(&b, at);
    ok(buf_err(&b) == CE_TOO_LARGE, "a full buf stays an error");
    buf_free(&b);
    der_put_small(&b, 0);
    der_put_small(&b, 128);
    der_put_uint(&b, SPAN_LIT("\0\0\x01"));
    ok(span_eq(buf_span(&b), SPAN_LIT("\x02\x01\x00\x02\x02\x00\x80\x02\x01\x01")), "INTEGERs are minimal");
    buf_free(&b);
}

static void pem(void)
{
    struct span text = SPAN_LIT("hello\n-----BEGIN A-----\nAQI=\n-----END A-----\nbetween\n-----BEGIN B-----\nBQ==\n-----END B-----\n"
                                "-----BEGIN A-----\r\nA w==\r\n-----END A-----\r\nbye");
    CLEANUP(buf_free) struct buf out = BUF_INIT(0), back = BUF_INIT(0);
    ok(pem_decode(text, "A", 0, &out) == CE_OK && span_eq(buf_span(&out), SPAN_LIT("\1\2")), "first block A");
    buf_reset(&out);
    ok(pem_decode(text, "A", 1, &out) == CE_OK && span_eq(buf_span(&out), SPAN_LIT("\3")), "second block A, CRLF");
    buf_reset(&out);
    ok(pem_decode(text, "B", 0, &out) == CE_OK && span_eq(buf_span(&out), SPAN_LIT("\5")), "block B");
    ok(pem_decode(text, "A", 2, &out) == CE_NOT_FOUND && pem_decode(text, "C", 0, &out) == CE_NOT_FOUND, "no such block");
    ok(pem_decode(SPAN_LIT("-----BEGIN A-----\nAQI=\n"), "A", 0, &out) == CE_TRUNCATED, "no END line");
    ok(pem_decode(SPAN_LIT("-----BEGIN A-----\nAQ!=\n-----END A-----"), "A", 0, &out) == CE_BAD_BASE64, "not base64");
    buf_reset(&out);
    pem_encode("X Y", SPAN_LIT("0123456789012345678901234567890123456789012345678901234567890"), &out);
    ok(pem_decode(buf_span(&out), "X Y", 0, &back) == CE_OK && back.len == 61 && pem_present(buf_span(&out), "X Y"), "written and read back");
}

static bool hex_begins(const uint8_t *hash, size_t n, const char *hex)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    buf_put_hex(&text, span_of(hash, n));
    return span_starts(buf_span(&text), hex);
}

static void hashes(void)
{
    uint8_t d[64], e[32];
    struct sha256 h;
    sha256(SPAN_LIT("abc"), d);
    ok(hex_begins(d, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "SHA-256 of abc (FIPS 180-4)");
    sha256_two(SPAN_LIT("a"), SPAN_LIT("bc"), e);
    ok(memcmp(d, e, 32) == 0, "in two parts");
    sha256_begin(&h);
    sha256_add(&h, SPAN_LIT("ab"));
    sha256_add(&h, span_of(NULL, 0));
    sha256_add(&h, SPAN_LIT("c"));
    sha256_end(&h, e);
    ok(memcmp(d, e, 32) == 0, "streamed");
    sha1(SPAN_LIT("abc"), d);
    ok(hex_begins(d, 20, "a9993e364706816aba3e25717850c26c9cd0d89d"), "SHA-1 of abc");
    sha384(SPAN_LIT("abc"), d);
    ok(hex_begins(d, 48, "cb00753f45a35e8bb5a03d699ac65007"), "SHA-384 of abc");
    sha512(SPAN_LIT("abc"), d);
    ok(hex_begins(d, 64, "ddaf35a193617abacc417349ae204131"), "SHA-512 of abc");
}

int main(void)
{
    reader();
    values();
    times();
    writer();
    pem();
    hashes();
    return done();
}
