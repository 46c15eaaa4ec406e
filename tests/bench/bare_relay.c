/* The least that two processes with a link between them can do for a message, as a measure for ECM and hub: one thread each, level-
 * triggered epoll, one recv and one send for whatever has come, headers of eight bytes. It checks nothing, bounds nothing, and
 * waits where it cannot send, which is enough for a benchmark and for nothing else.
 *
 *   bare_relay far LINK [BACKEND]    takes one link; answers itself, or passes on to a connection of each client's own
 *   bare_relay edge CLIENTS LINK     takes clients and connects the link
 *
 * Addresses are ADDRESS:PORT. Each prints "ready" when it listens, and ends with its link. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CLIENTS_MOST = 70000, EVENTS = 256, ROOM = 1 << 20 };
struct header { uint32_t length, client; };

static int epoll, link_socket;
static const char *backend_address;
static int backends[CLIENTS_MOST];              /* by the client's descriptor at the edge */
static char incoming[ROOM], outgoing[ROOM];     /* of the link */
static size_t arrived, queued;

static int die(const char *what) { perror(what); exit(1); }

static struct sockaddr_in address(const char *text) {
  char host[64];
  unsigned short port;
  struct sockaddr_in found = { .sin_family = AF_INET };
  if (sscanf(text, "%63[^:]:%hu", host, &port) != 2 || inet_pton(AF_INET, host, &found.sin_addr) != 1) die(text);
  found.sin_port = htons(port);
  return found;
}

static int listen_on(const char *text) {
  struct sockaddr_in where = address(text);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
  if (bind(listener, (void *)&where, sizeof where) || listen(listener, 4096)) die(text);
  return listener;
}

static int at_once(int sock) {
  if (sock < 0) die("socket");
  setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
  return sock;
}

static int connect_to(const char *text) {
  struct sockaddr_in where = address(text);
  int sock = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(sock, (void *)&where, sizeof where)) die(text);
  return at_once(sock);
}

static void watch(int sock, uint32_t client) {
  struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)client << 32 | (uint32_t)sock };
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, sock, &event)) die("epoll_ctl");
}

static void send_all(int sock, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = send(sock, bytes, length, MSG_NOSIGNAL);
    if (sent < 0) return;
    bytes += sent;
    length -= sent;
  }
}

static void flush(void) {
  if (queued > 0) send_all(link_socket, outgoing, queued);
  queued = 0;
}

static void queue(uint32_t client, const char *bytes, uint32_t length) {
  struct header header = { length, client };
  if (queued + sizeof header + length > ROOM) flush();
  memcpy(outgoing + queued, &header, sizeof header);
  memcpy(outgoing + queued + sizeof header, bytes, length);
  queued += sizeof header + length;
}

static void to_client(uint32_t client, const char *bytes, uint32_t length) { send_all(client, bytes, length); }

static void to_backend(uint32_t client, const char *bytes, uint32_t length) {
  if (client >= CLIENTS_MOST) die("too many clients");
  if (backends[client] == 0) watch(backends[client] = connect_to(backend_address), client);
  send_all(backends[client], bytes, length);
}

/* Reads the link once, and hands out what is complete. */
static void read_link(void (*deliver)(uint32_t, const char *, uint32_t)) {
  ssize_t length = recv(link_socket, incoming + arrived, ROOM - arrived, 0);
  if (length <= 0) exit(0);
  arrived += length;
  size_t at = 0;
  for (struct header header; arrived - at >= sizeof header; at += sizeof header + header.length) {
    memcpy(&header, incoming + at, sizeof header);
    if (arrived - at < sizeof header + header.length) break;
    deliver(header.client, incoming + at + sizeof header, header.length);
  }
  memmove(incoming, incoming + at, arrived -= at);
}

static void run(int listener, void (*deliver)(uint32_t, const char *, uint32_t)) {
  static char bytes[65536];
  struct epoll_event events[EVENTS];
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      int sock = (int)(uint32_t)events[i].data.u64;
      if (sock == link_socket) {
        read_link(deliver);
      } else if (sock == listener) {
        int client = at_once(accept(listener, NULL, NULL));
        watch(client, client);
      } else {
        ssize_t length = recv(sock, bytes, sizeof bytes, 0);
        if (length > 0) queue(events[i].data.u64 >> 32, bytes, length);
        else close(sock);
      }
    }
    flush();
  }
}

int main(int count, char **words) {
  int is_edge = count == 4 && strcmp(words[1], "edge") == 0;
  if (!is_edge && (count < 3 || strcmp(words[1], "far") != 0)) return fprintf(stderr, "bare_relay edge CLIENTS LINK | far LINK [BACKEND]\n"), 2;
  epoll = epoll_create1(0);
  int listener = listen_on(words[2]);
  if (is_edge) {
    link_socket = connect_to(words[3]);
    watch(listener, 0);
  }
  puts("ready");
  fflush(stdout);
  if (!is_edge) {
    backend_address = words[3];
    link_socket = at_once(accept(listener, NULL, NULL));
  }
  watch(link_socket, 0);
  run(is_edge ? listener : -1, is_edge ? to_client : backend_address ? to_backend : queue);
}
