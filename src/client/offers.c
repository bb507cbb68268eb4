/* SPDX-License-Identifier: MIT */
/* Who offered himself to the daemon: a folder beside its socket has a file for each. */
#include "client/client_int.h"

#include "wire/offer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool client_has_offer(pid_t pid)
{
	const char *env = getenv("DYNTRACED_SOCKET");
	const char *sock = env && *env ? env : PROTO_SOCKET, *slash = strrchr(sock, '/');
	char path[512];
	int folder = slash ? (int)(slash - sock) + 1 : 0;
	snprintf(path, sizeof(path), "%.*s" WIRE_OFFER_FOLDER "/%d", folder, sock, (int)pid);
	return !access(path, F_OK);
}
