package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// Orderly consumers: each stream's messages go to one queue and come in the order in which they were sent.

const (
	streams = 8
	// A queue's lock is kept for 60 s after its holder last asked for it (a Go client never unlocks a queue that another one
	// gets, and a dead one cannot), and who wants it tries every 20 s.
	lockMax = 150 * time.Second
)

func orderlyCases() []testCase {
	return []testCase{
		{name: "orderly-takeover", run: takeover},
		{name: "orderly-dead-consumer", run: deadConsumer},
		{name: "orderly-in-order", run: inOrder},
		{name: "orderly-suspend", run: suspended},
		{name: "orderly-dead-letter", run: orderlyDeadLetter},
	}
}

// journal is the order in which messages were delivered, over all consumers of a group: "STREAM-NUMBER" keys.
type journal struct {
	lock    sync.Mutex
	entries []string
	seen    map[string]bool
	broken  error
	next    [streams]int // number of each stream
}

func newJournal() *journal {
	return &journal{seen: map[string]bool{}}
}

// add notes a delivery. What comes for the first time must be the next one of its stream; after a change of hands
// deliveries may repeat.
func (j *journal) add(key string) {
	var stream, number int
	j.lock.Lock()
	defer j.lock.Unlock()
	j.entries = append(j.entries, key)
	if j.seen[key] {
		return
	}
	j.seen[key] = true
	if _, err := fmt.Sscanf(key, "%d-%d", &stream, &number); err != nil {
		j.broken = err
	} else if number != j.next[stream] && j.broken == nil {
		j.broken = fmt.Errorf("stream %d: %d came where %d should, after %d deliveries", stream, number, j.next[stream],
			len(j.entries))
	}
	j.next[stream] = number + 1
}

func (j *journal) distinct() int {
	j.lock.Lock()
	defer j.lock.Unlock()
	return len(j.seen)
}

func (j *journal) list() []string {
	j.lock.Lock()
	defer j.lock.Unlock()
	return append([]string{}, j.entries...)
}

func (j *journal) verdict() error {
	j.lock.Lock()
	defer j.lock.Unlock()
	return j.broken
}

// expect: so many messages of all streams, in order.
func (j *journal) expect(count int, limit time.Duration) error {
	err := await(fmt.Sprintf("%d messages in order", count), limit, func() bool {
		return j.distinct() >= count || j.verdict() != nil
	})
	if broken := j.verdict(); broken != nil {
		return broken
	}
	if err != nil {
		return fmt.Errorf("%w: only %d", err, j.distinct())
	}
	return nil
}

// streamer sends to each stream in turn.
type streamer struct {
	send func(stream, number int) error
	next int // of every stream
}

func (k *kit) streamer() (*streamer, error) {
	p, err := k.producer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	if err != nil {
		return nil, err
	}
	queues := map[int]int{}
	return &streamer{send: func(stream, number int) error {
		message := k.message(fmt.Sprintf("%d-%d", stream, number), "T")
		message.WithShardingKey(fmt.Sprintf("stream-%d", stream))
		result, err := p.SendSync(context.Background(), message)
		if err != nil {
			return err
		}
		if queue, ok := queues[stream]; ok && queue != result.MessageQueue.QueueId {
			return fmt.Errorf("stream %d is in the queues %d and %d", stream, queue, result.MessageQueue.QueueId)
		}
		queues[stream] = result.MessageQueue.QueueId
		return nil
	}}, nil
}

// round sends one message more of each stream.
func (s *streamer) round() error {
	for stream := 0; stream < streams; stream++ {
		if err := s.send(stream, s.next); err != nil {
			return err
		}
	}
	s.next++
	return nil
}

func (s *streamer) sent() int {
	return s.next * streams
}

// orderly starts an orderly consumer of the case's group that writes into all journals.
func (k *kit) orderly(journals ...*journal) (func(), error) {
	return k.subscribeBy(k.group+"_c", k.topic, consumer.MessageSelector{},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			for _, j := range journals {
				j.add(keyOf(messages[0]))
			}
			return consumer.ConsumeSuccess, nil
		}, consumer.WithConsumerOrder(true))
}

func inOrder(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	s, err := k.streamer()
	if err != nil {
		return err
	}
	j := newJournal()
	for s.next < 10 { // Half of them are there before the consumer.
		if err = s.round(); err != nil {
			return err
		}
	}
	if _, err = k.orderly(j); err != nil {
		return err
	}
	for s.next < 20 {
		if err = s.round(); err != nil {
			return err
		}
	}
	if err = j.expect(s.sent(), come); err != nil {
		return err
	}
	time.Sleep(settle)
	if n := len(j.list()); n != s.sent() {
		return fmt.Errorf("%d deliveries of %d messages", n, s.sent())
	}
	return nil
}

// suspended: what fails holds up its queue, and nothing overtakes it.
func suspended(k *kit) error {
	if err := k.createTopicOf(k.topic, 1); err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	for i := 0; i < 6; i++ {
		if _, err = p.SendSync(context.Background(), k.message(fmt.Sprintf("0-%d", i), "T")); err != nil {
			return err
		}
	}
	j := newJournal()
	_, err = k.subscribeBy(k.group+"_c", k.topic, consumer.MessageSelector{},
		func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			j.add(keyOf(messages[0]))
			if orderly, ok := primitive.GetOrderlyCtx(ctx); ok {
				orderly.SuspendCurrentQueueTimeMillis = 100
			}
			if keyOf(messages[0]) == "0-2" && messages[0].ReconsumeTimes < 3 {
				return consumer.SuspendCurrentQueueAMoment, nil
			}
			return consumer.ConsumeSuccess, nil
		}, consumer.WithConsumerOrder(true))
	if err != nil {
		return err
	}
	if err = j.expect(6, come); err != nil {
		return err
	}
	time.Sleep(settle)
	const want = "0-0 0-1 0-2 0-2 0-2 0-2 0-3 0-4 0-5"
	if got := strings.Join(j.list(), " "); got != want {
		return fmt.Errorf("came as %s, expected %s", got, want)
	}
	return nil
}

// orderlyDeadLetter: what fails too often gives way to the rest of its queue.
func orderlyDeadLetter(k *kit) error {
	if err := k.createTopicOf(k.topic, 1); err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	for i := 0; i < 4; i++ {
		if _, err = p.SendSync(context.Background(), k.message(fmt.Sprintf("0-%d", i), "T")); err != nil {
			return err
		}
	}
	j := newJournal()
	_, err = k.subscribeBy(k.group+"_c", k.topic, consumer.MessageSelector{},
		func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			j.add(keyOf(messages[0]))
			if keyOf(messages[0]) == "0-1" {
				return consumer.SuspendCurrentQueueAMoment, nil
			}
			return consumer.ConsumeSuccess, nil
		}, consumer.WithConsumerOrder(true), consumer.WithMaxReconsumeTimes(1))
	if err != nil {
		return err
	}
	if err = j.expect(4, come); err != nil {
		return err
	}
	if got := strings.Join(j.list(), " "); got != "0-0 0-1 0-1 0-1 0-2 0-3" { // This client allows one time more.
		return fmt.Errorf("came as %s", got)
	}
	letters, err := k.deadLetters(come)
	if err != nil {
		return err
	}
	return letters.expectExactly(map[string]bool{"0-1": true}, come, settle)
}

// takeover: a second consumer gets its share once the first one's locks have run out; the rest when the first one goes.
func takeover(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	s, err := k.streamer()
	if err != nil {
		return err
	}
	both, second := newJournal(), newJournal()
	endFirst, err := k.orderly(both)
	if err != nil {
		return err
	}
	if err = s.round(); err != nil {
		return err
	}
	if err = both.expect(s.sent(), come); err != nil {
		return err
	}
	if _, err = k.subscribeBy(k.group+"_c", k.topic, consumer.MessageSelector{},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			both.add(keyOf(messages[0]))
			second.lock.Lock()
			second.entries = append(second.entries, keyOf(messages[0]))
			second.lock.Unlock()
			return consumer.ConsumeSuccess, nil
		}, consumer.WithConsumerOrder(true)); err != nil {
		return err
	}
	var sendErr error
	err = await("the second gets some", lockMax, func() bool {
		time.Sleep(250 * time.Millisecond)
		sendErr = s.round()
		return sendErr != nil || len(second.list()) > 0
	})
	if err == nil {
		err = sendErr
	}
	if err != nil {
		return err
	}
	endFirst()
	for i := 0; i < 3; i++ {
		if err = s.round(); err != nil {
			return err
		}
	}
	return both.expect(s.sent(), 3*come)
}

const orderlyVictimArgument = "orderly-victim"

// deadConsumer: the holder of all locks is killed at work. The next one goes on where it was, in order.
func deadConsumer(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	s, err := k.streamer()
	if err != nil {
		return err
	}
	for s.next < 4 {
		if err = s.round(); err != nil {
			return err
		}
	}
	j := newJournal()
	if err = k.runOrderlyVictim(j, 2*streams); err != nil {
		return err
	}
	if _, err = k.orderly(j); err != nil {
		return err
	}
	if err = s.round(); err != nil {
		return err
	}
	return j.expect(s.sent(), lockMax)
}

// runOrderlyVictim writes what a consumer in a process of its own got into the journal, and kills it in the midst of it.
func (k *kit) runOrderlyVictim(j *journal, count int) error {
	command := exec.Command(os.Args[0], orderlyVictimArgument, k.namesrv, k.topic, k.group)
	output, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err = command.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(come, func() { _ = command.Process.Kill() })
	lines := bufio.NewScanner(output)
	for j.distinct() < count && lines.Scan() {
		j.add(lines.Text())
	}
	_ = command.Process.Kill()
	for lines.Scan() { // What it had done before it died.
		j.add(lines.Text())
	}
	_ = command.Wait()
	if !timer.Stop() || j.distinct() < count {
		return fmt.Errorf("the consumer that should die got only %d messages", j.distinct())
	}
	return nil
}

func beOrderlyVictim(arguments []string) {
	k := &kit{namesrv: arguments[0], topic: arguments[1], group: arguments[2]}
	_, err := k.subscribeBy(k.group+"_c", k.topic, consumer.MessageSelector{},
		func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			fmt.Println(keyOf(messages[0]))
			time.Sleep(20 * time.Millisecond)
			return consumer.ConsumeSuccess, nil
		}, consumer.WithConsumerOrder(true), consumer.WithInstance("victim"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "orderly victim:", err)
		os.Exit(1)
	}
	time.Sleep(2 * come)
	os.Exit(1)
}
