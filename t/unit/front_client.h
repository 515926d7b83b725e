/* front_client.h: the raw HTTP client of the front tests. Part of front_harness.h. */

struct resp {
    int status; /* 0: no answer */
    struct buf all;
    char *head, *body;
    size_t n; /* bytes of body */
};

static void resp_free(struct resp *r)
{
    buf_free(&r->all);
}

static int dial(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/site/run/front-0.sock", T);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)(void *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Reads until the other side closes, want bytes are there, or ms have passed. True: it closed. */
static bool drink(int fd, struct buf *out, size_t want, int ms)
{
    int64_t end = clock_mono_ms() + ms;
    while (out->len < want) {
        char chunk[65536];
        struct pollfd pf = {.fd = fd, .events = POLLIN};
        int64_t left = end - clock_mono_ms();
        if (left <= 0 || poll(&pf, 1, (int)left) != 1)
            return false;
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n <= 0)
            return true;
        buf_put(out, chunk, (size_t)n);
    }
    return false;
}

static void resp_parse(struct resp *r)
{
    r->status = 0;
    r->head = buf_cstr(&r->all);
    r->body = r->head ? strstr(r->head, "\r\n\r\n") : NULL;
    if (!r->body)
        return;
    sscanf(r->head, "HTTP/1.1 %d", &r->status);
    *r->body = 0;
    r->body += 4;
    r->n = r->all.len - (size_t)(r->body - r->head);
}

static void put_escaped(struct buf *out, const char *path)
{
    struct buf pem = BUF_INIT(0);
    if (file_read(path, &pem) != CE_OK)
        fprintf(stderr, "cannot read %s\n", path);
    for (size_t i = 0; i < pem.len; i++)
        if (pem.data[i] == '\n' || pem.data[i] == ' ' || pem.data[i] == '+' || pem.data[i] == '=' || pem.data[i] == '/')
            buf_printf(out, "%%%02X", pem.data[i]);
        else
            buf_put_u8(out, pem.data[i]);
    buf_free(&pem);
}

/* who: name of a certificate in the test's folder, NULL for none. verify: NULL for what nginx would say. */
static void request_bytes(struct buf *b, const char *method, const char *target, const char *who, const char *verify, const char *headers,
                          struct span body)
{
    buf_printf(b, "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n", method, target);
    buf_printf(b, "X-Cradle-Verify: %s\r\nX-Cradle-Addr: 192.0.2.7\r\nX-Request-Id: 0123456789abcdef\r\n",
               verify ? verify
               : who  ? "SUCCESS"
                      : "NONE");
    if (who) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s.pem", T, who);
        buf_put_str(b, "X-Cradle-Client-Cert: ");
        put_escaped(b, path);
        buf_put_str(b, "\r\n");
    }
    if (headers)
        buf_put_str(b, headers);
    if (body.n || strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0)
        buf_printf(b, "Content-Length: %zu\r\n", body.n);
    buf_put_str(b, "\r\n");
    buf_put_span(b, body);
}

static struct resp request_as(const char *method, const char *target, const char *who, const char *verify, const char *headers,
                              struct span body)
{
    struct buf b = BUF_INIT(0);
    struct resp r = {.all = BUF_INIT(0)};
    request_bytes(&b, method, target, who, verify, headers, body);
    int fd = dial();
    size_t sent = 0;
    while (fd >= 0 && sent < b.len) {
        ssize_t n = send(fd, b.data + sent, b.len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    if (fd >= 0) {
        drink(fd, &r.all, SIZE_MAX, 10000);
        close(fd);
    }
    resp_parse(&r);
    buf_free(&b);
    return r;
}

__attribute__((unused)) static struct resp request(const char *method, const char *target, const char *who, const char *headers,
                                                   const char *body)
{
    return request_as(method, target, who, NULL, headers, span_str(body ? body : ""));
}

__attribute__((unused)) static bool has(const struct resp *r, const char *text)
{
    return r->status && (strstr(r->head, text) || strstr(r->body, text));
}

/* Sends, and judges status and reason (the header that every refusal carries); reason NULL: none. */
__attribute__((unused)) static bool answers(struct resp r, int status, const char *reason)
{
    char want[80];
    bool good = r.status == status;
    snprintf(want, sizeof want, "X-Cradle-Reason: %s", reason ? reason : "");
    good = good && (reason ? strstr(r.head, want) != NULL : strstr(r.head, want) == NULL);
    if (!good)
        printf("# got %d: %.300s\n# %.300s\n", r.status, r.head ? r.head : "", r.body ? r.body : "");
    resp_free(&r);
    return good;
}

__attribute__((unused)) static void ready_wait(void)
{
    for (int i = 0; i < 250; i++) {
        struct resp r = request("GET", "/healthz", NULL, NULL, NULL);
        bool ready = r.status == 200;
        resp_free(&r);
        if (ready)
            return;
        usleep(20000);
    }
}

__attribute__((unused)) static int send_raw(const char *text, size_t n)
{
    int fd = dial();
    if (fd >= 0 && send(fd, text, n, MSG_NOSIGNAL) < 0)
        fprintf(stderr, "send: %s\n", strerror(errno));
    return fd;
}

__attribute__((unused)) static bool seen(const struct buf *b, const char *text)
{
    return b->len && memmem(b->data, b->len, text, strlen(text));
}
