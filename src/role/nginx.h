/* nginx.h: the configuration of the tls role, made from the settings. Pure text generation; starting, checking and reloading
 * the program is parent_tls.c. The contract with front (headers, errors handed over) is described in cradled.conf(5) for
 * sites that bring their own ingress (tls = external).
 */
#ifndef CRADLE_ROLE_NGINX_H
#define CRADLE_ROLE_NGINX_H

#include "role/settings.h"

/* version: of nginx as major*10000 + minor*100 + patch (1.22.1 is 12201): HTTP/2 is switched on in two ways.
 * files: open files that one worker may have. */
void nginx_config(const struct settings *s, const char *site, unsigned version, int64_t files, struct buf *out);
/* A site's path stands in nginx' configuration and in socket addresses: CE_BAD_CONFIG when it is too long for a Unix socket
 * or has characters that need quoting. */
MUST_USE enum err nginx_check_site(const char *site, struct fault *f);
/* "nginx version: nginx/1.22.1" -> 12201; 0 when it is something else. */
unsigned nginx_version(struct span text);

#endif
