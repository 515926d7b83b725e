/* front_ca.c: the CAs of the site, as core pushes them: which certificates are ours, of what kind their holders are, and what EST's
 * /cacerts answers. They are kept while core restarts.
 */
#include "role/front_priv.h"
#include "wire/cms.h"
#include "wire/est.h"

const struct front_ca *front_ca_by_kid(const struct front *fr, struct span kid)
{
    for (size_t i = 0; kid.n && i < fr->n_cas; i++)
        if (fr->cas[i].ca.use != CA_USE_LINK && span_eq(kid, fr->cas[i].ca.cert.ski))
            return &fr->cas[i];
    return NULL;
}

enum caller_kind front_ca_kind(const struct front_ca *ca)
{
    return !ca                            ? CALLER_FOREIGN
           : ca->ca.use == CA_USE_INFRA  ? CALLER_INFRA
           : ca->ca.use == CA_USE_DEVICE ? CALLER_DEVICE
           : ca->ca.use == CA_USE_IDEVID ? CALLER_IDEVID
                                         : CALLER_FOREIGN;
}

enum err front_ca_judge(const struct front_ca *ca)
{
    return ca->state == CA_RETIRED ? CE_CA_RETIRED : ca->state == CA_COMPROMISED ? CE_CA_COMPROMISED : CE_OK;
}

/* RFC 7030 4.1.3: what a device verifies with: the issuing CAs whose certificates count, links, then the roots. */
static void cacerts_make(struct front *fr)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    struct span certs[CA_SET_MAX];
    size_t n = 0;
    for (int use = CA_USES - 1; use > 0; use--)
        for (size_t i = 0; i < fr->n_cas; i++)
            if (fr->cas[i].ca.use == (enum ca_use)use && front_ca_judge(&fr->cas[i]) == CE_OK)
                certs[n++] = buf_span(&fr->cas[i].ca.der);
    buf_reset(&fr->cacerts);
    cms_certs_only(certs, n, &der);
    buf_put_base64(&fr->cacerts, buf_span(&der), EST_LINE);
}

void front_push_ca(struct front *fr, const struct msg_push_ca *m)
{
    char name[LABEL_MAX + 1];
    struct ca ca;
    struct fault f;
    size_t i = 0;
    if (span_to_cstr(m->name, name, sizeof name) || ca_open(&ca, name, m->der, NULL, "", 1, &f)) {
        log_error(0, "CA " SPAN_FMT ", as core tells it, is refused: %s", SPAN_ARG(m->name), f.text);
        return;
    }
    while (i < fr->n_cas && strcmp(fr->cas[i].ca.name, name) != 0)
        i++;
    if (i == CA_SET_MAX) {
        ca_close(&ca);
        return;
    }
    if (i == fr->n_cas)
        fr->n_cas++;
    ca_close(&fr->cas[i].ca);
    ca.use = ca_use_find(m->use);
    fr->cas[i] = (struct front_ca){ .ca = ca, .state = ca_state_find(m->state), .reenroll = m->reenroll };
    front_cert_cache_clear(fr->certs); /* it holds what kind of caller each one is */
    front_ocsp_cache_clear(fr->ocsp);
    cacerts_make(fr);
    front_streams_recheck(fr);
}

void front_cas_close(struct front *fr)
{
    for (size_t i = 0; i < fr->n_cas; i++)
        ca_close(&fr->cas[i].ca);
    fr->n_cas = 0;
}

enum err front_ca_list(struct front_req *r, struct fault *f)
{
    struct msg_ca_list *m = arena_alloc(&r->arena, sizeof *m);
    r->msg = m;
    r->desc = &msg_desc_ca_list;
    return r->handler->param ? front_param(r, &m->name, f) : CE_OK;
}

/* Renewal alone, and only while it is open: core looks at the device. */
bool front_ca_reenrolls(const struct front_ca *ca, const struct front_req *r)
{
    return ca && ca->state == CA_COMPROMISED && ca->reenroll && r->handler && r->handler->decode == front_reenroll;
}
