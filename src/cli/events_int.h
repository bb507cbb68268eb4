/* SPDX-License-Identifier: MIT */
/* Events of enable-event and trace, in LTTng. */
#ifndef CLI_EVENTS_INT_H
#define CLI_EVENTS_INT_H

#include <stdbool.h>
#include <stddef.h>

#define EVENT_NAME_MAX 200 /* of LTTng's 255, with the provider's name and what follows */

struct event {
	char *name;
	char *place;
	bool function; /* NAME_entry and NAME_exit, else NAME */
};

/* LTTng's current session (`lttng create`, `lttng set-session`); "" where there is none, or none that its daemon has. */
void event_session(char *buf, size_t cap);
/* Has it record them. @channel NULL: its usual one. CLI_OK, or CLI_ERROR after a message. */
int event_record(const char *session, const char *channel, const struct event *);

#endif
