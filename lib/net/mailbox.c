#include "lib/net/mailbox.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
	pthread_mutex_t lock;
	struct letter *head;
	struct letter **tail;
	int fd;
	struct event *event;
};

static void on_mail(evutil_socket_t fd, short what, void *context)
{
	struct mailbox *mailbox = context;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&mailbox->lock);
	struct letter *letter = mailbox->head;
	mailbox->head = NULL;
	mailbox->tail = &mailbox->head;
	pthread_mutex_unlock(&mailbox->lock);
	while (letter != NULL) {
		struct letter *next = letter->next;

		letter->deliver(letter);
		letter = next;
	}
}

struct mailbox *mailbox_create(struct loop *loop)
{
	struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

	if (mailbox == NULL)
		return NULL;
	mailbox->tail = &mailbox->head;
	mailbox->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (mailbox->fd >= 0)
		mailbox->event = event_new(loop_base(loop), mailbox->fd, EV_READ | EV_PERSIST, on_mail, mailbox);
	if (mailbox->event == NULL || event_add(mailbox->event, NULL) != 0) {
		if (mailbox->event != NULL)
			event_free(mailbox->event);
		if (mailbox->fd >= 0)
			close(mailbox->fd);
		free(mailbox);
		return NULL;
	}
	pthread_mutex_init(&mailbox->lock, NULL);
	return mailbox;
}

void mailbox_destroy(struct mailbox *mailbox)
{
	if (mailbox == NULL)
		return;
	event_free(mailbox->event);
	close(mailbox->fd);
	pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
}

void mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	static const uint64_t one = 1;

	letter->next = NULL;
	pthread_mutex_lock(&mailbox->lock);
	bool was_empty = mailbox->head == NULL;
	*mailbox->tail = letter;
	mailbox->tail = &letter->next;
	pthread_mutex_unlock(&mailbox->lock);
	/* Cannot fail but by a full counter, and then the loop is awake anyway. */
	if (was_empty && write(mailbox->fd, &one, sizeof(one)) < 0)
		return;
}
