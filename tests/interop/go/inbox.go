package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// inbox holds what consumers received, by message key. Safe for use by many goroutines.
type inbox struct {
	lock     sync.Mutex
	received map[string][]*primitive.MessageExt
}

func newInbox() *inbox {
	return &inbox{received: map[string][]*primitive.MessageExt{}}
}

func (in *inbox) add(message *primitive.MessageExt) {
	in.lock.Lock()
	defer in.lock.Unlock()
	in.received[keyOf(message)] = append(in.received[keyOf(message)], message)
}

func (in *inbox) of(key string) []*primitive.MessageExt {
	in.lock.Lock()
	defer in.lock.Unlock()
	return append([]*primitive.MessageExt{}, in.received[key]...)
}

func (in *inbox) size() int {
	in.lock.Lock()
	defer in.lock.Unlock()
	total := 0
	for _, copies := range in.received {
		total += len(copies)
	}
	return total
}

func (in *inbox) missing(keys map[string]bool) (count int, one string) {
	in.lock.Lock()
	defer in.lock.Unlock()
	for key := range keys {
		if len(in.received[key]) == 0 {
			count, one = count+1, key
		}
	}
	return count, one
}

func (in *inbox) await(keys map[string]bool, limit time.Duration) error {
	err := await("all messages", limit, func() bool {
		count, _ := in.missing(keys)
		return count == 0
	})
	if err != nil {
		count, one := in.missing(keys)
		return fmt.Errorf("%d of %d did not come within %v, such as %s", count, len(keys), limit, one)
	}
	return nil
}

// expectExactly: these keys, each once; waits for them, then for what must not come.
func (in *inbox) expectExactly(keys map[string]bool, limit, settled time.Duration) error {
	if err := in.await(keys, limit); err != nil {
		return err
	}
	time.Sleep(settled)
	in.lock.Lock()
	defer in.lock.Unlock()
	for key, copies := range in.received {
		if !keys[key] {
			return fmt.Errorf("%s must not have been delivered", key)
		}
		if len(copies) != 1 {
			return fmt.Errorf("%s was delivered %d times", key, len(copies))
		}
	}
	return nil
}
