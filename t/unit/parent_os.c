/* parent_os.c: one service a site, telling systemd, who the roles run as. */
#include "role/parent.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "t/tap.h"

static void test_notify(const char *dir, bool abstract)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    char name[64], got[64] = "";
    if (abstract)
        snprintf(name, sizeof name, "@cradle-test-%d", (int)getpid());
    else
        snprintf(name, sizeof name, "%s/notify", dir);
    CLEANUP(fd_close_p) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    memcpy(a.sun_path, name, strlen(name));
    if (abstract)
        a.sun_path[0] = '\0';
    ok(bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) == 0, "a socket as systemd has it: %s", name);
    setenv("NOTIFY_SOCKET", name, 1);
    os_notify("READY=1");
    ok(recv(fd, got, sizeof got - 1, 0) == 7 && strcmp(got, "READY=1") == 0, "READY=1 arrives");
    unsetenv("NOTIFY_SOCKET");
    os_notify("STOPPING=1");
    ok(recv(fd, got, sizeof got - 1, 0) < 0, "nothing is sent without NOTIFY_SOCKET");
}

static void test_lock(const char *dir)
{
    struct fault f = { 0 };
    int one = -1, two = -1, status = 1;
    ok(os_lock_site("/nonexistent", &one, &f) == CE_NOT_FOUND && strstr(f.text, "cradle init"), "no site: the message says how to make one");
    ok(os_lock_site(dir, &one, &f) == CE_OK, "the site is locked");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(os_lock_site(dir, &two, &f) == CE_EXISTS ? 0 : 1);
    waitpid(pid, &status, 0);
    ok(status == 0, "a second service is refused");
    close(one);
    ok(os_lock_site(dir, &two, &f) == CE_OK, "the lock ends with its holder");
    close(two);
}

static void test_identity(const char *dir)
{
    struct identity id;
    struct fault f = { 0 };
    if (geteuid() != 0) {
        ok(identity_find("", &id, &f) == CE_OK && !id.change, "started by a user: nothing changes");
        ok(identity_check_site(&id, "/nonexistent", &f) != CE_OK, "a site that cannot be entered is refused");
        return;
    }
    ok(identity_find("", &id, &f) == CE_BAD_CONFIG && strstr(f.text, "set user"), "root without user is refused");
    ok(identity_find("root", &id, &f) == CE_BAD_CONFIG && identity_find("0", &id, &f) == CE_BAD_CONFIG, "root as user is refused");
    ok(identity_find("no-such-user-here", &id, &f) == CE_BAD_CONFIG && strstr(f.text, "adduser"), "an unknown user is refused, with the way to make it");
    ok(identity_find("61184", &id, &f) == CE_OK && id.change && id.uid == 61184 && id.gid == 61184, "a bare number is taken");
    identity_enter(&id);
    bool other = geteuid() == 61184 && getegid() == 61184;
    identity_leave(&id);
    ok(other && geteuid() == 0 && getegid() == 0, "files are made with its identity, and root comes back");
    ok(identity_check_site(&id, dir, &f) != CE_OK, "a site that the user cannot enter is refused: %s", f.text);
}

int main(void)
{
    char dir[] = "/tmp/cradle-os-XXXXXX", path[64];
    ok(mkdtemp(dir) != NULL, "a folder");
    test_notify(dir, false);
    test_notify(dir, true);
    test_lock(dir);
    test_identity(dir);
    snprintf(path, sizeof path, "%s/notify", dir);
    unlink(path);
    ok(rmdir(dir) == 0, "cleaned up");
    return done();
}
