/* lint.c: fuzz target of the rules for certificates, CRLs, OCSP responses and requests: `cradle lint` reads files of strangers. */
#include "base/log.h"
#include "crypt/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    enum lint_object guess = LINT_OBJECTS;
    bool known = lint_guess(in, &guess);
    INVARIANT(!known || guess < LINT_OBJECTS);
    for (int o = 0; o < LINT_OBJECTS; o++) {
        struct lint_report rep;
        struct fault f = { .code = CE_OK };
        size_t errors = 0;
        lint_judge((enum lint_object)o, in, &rep);
        for (size_t i = 0; i < rep.n; i++) {
            INVARIANT(rep.found[i].rule < LINT_RULES && rep.seen[rep.found[i].rule] && memchr(rep.found[i].where, 0, sizeof rep.found[i].where));
            errors += lint_rules[rep.found[i].rule].level == LINT_ERROR;
        }
        INVARIANT(errors == rep.errors && rep.n <= LINT_RULES);
        enum err e = lint_release((enum lint_object)o, in, SPAN_LIT("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), &f);
        INVARIANT(e == CE_OK || (e == CE_LINT && f.code == e && f.text[0]));
    }
    return 0;
}

#include "t/fuzz/replay.h"
