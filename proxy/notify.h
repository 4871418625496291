/* SPDX-License-Identifier: ISC */
/* Tells systemd how we are (sd_notify(3), Type=notify or notify-reload). Without NOTIFY_SOCKET:
 * nothing. */
#ifndef STARTTLSD_NOTIFY_H
#define STARTTLSD_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

#endif
