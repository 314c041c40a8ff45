package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// The pull consumer: it asks by itself, from its queues or from one that it names.

func pullCases() []testCase {
	return []testCase{
		{name: "pull-poll", run: polled},
		{name: "pull-poll-retry", run: polledAgain},
		{name: "pull-from", run: pulledFrom},
		{name: "pull-tags", run: pulledByTag},
		{name: "pull-waits", run: pullWaits},
		{name: "pull-offsets", run: pullOffsets},
	}
}

// pulling is a pull consumer that can be ended before its case; twice does no harm.
type pulling struct {
	rocketmq.PullConsumer
	end func()
}

func (k *kit) puller(group string, selector consumer.MessageSelector) (*pulling, error) {
	c, err := rocketmq.NewPullConsumer(consumer.WithNsResolver(k.resolver()), consumer.WithGroupName(group),
		consumer.WithInstance(k.instance()), consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithPullBatchSize(32), consumer.WithMaxReconsumeTimes(-1))
	if err != nil {
		return nil, err
	}
	if err = c.Subscribe(k.topic, selector); err != nil {
		return nil, err
	}
	var once sync.Once
	p := &pulling{PullConsumer: c, end: func() { once.Do(func() { _ = c.Shutdown() }) }}
	k.closers = append(k.closers, p.end)
	return p, c.Start()
}

// poll reads until all keys came; acknowledges with what the function says.
func (p *pulling) poll(in *inbox, enough func() bool, result func(*primitive.MessageExt) consumer.ConsumeResult) error {
	return await("messages to poll", 3*come, func() bool {
		if enough() {
			return true
		}
		request, err := p.Poll(context.Background(), time.Second)
		if err != nil {
			return false // Nothing new is an error.
		}
		answer := consumer.ConsumeSuccess
		for _, message := range request.GetMsgList() {
			in.add(message)
			if said := result(message); said != consumer.ConsumeSuccess {
				answer = said
			}
		}
		p.ACK(context.Background(), request, answer)
		return enough()
	})
}

func (in *inbox) hasAll(keys map[string]bool) func() bool {
	return func() bool {
		count, _ := in.missing(keys)
		return count == 0
	}
}

func acknowledged(*primitive.MessageExt) consumer.ConsumeResult {
	return consumer.ConsumeSuccess
}

// polled: everything once, and after the next start only what is new.
func polled(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	keys, err := k.sendAll("k", 40)
	if err != nil {
		return err
	}
	first, err := k.puller(k.group+"_c", consumer.MessageSelector{})
	if err != nil {
		return err
	}
	in := newInbox()
	if err = first.poll(in, in.hasAll(keys), acknowledged); err != nil {
		return err
	}
	if err = in.expectExactly(keys, 0, 0); err != nil {
		return err
	}
	first.end()
	if keys, err = k.sendAll("l", 12); err != nil {
		return err
	}
	second, err := k.puller(k.group+"_c", consumer.MessageSelector{})
	if err != nil {
		return err
	}
	in = newInbox()
	if err = second.poll(in, in.hasAll(keys), acknowledged); err != nil {
		return err
	}
	return in.expectExactly(keys, 0, 0)
}

// polledAgain: what is acknowledged as not consumed comes again, from the group's retry topic.
func polledAgain(k *kit) error {
	if err := k.createTopicOf(k.topic, 1); err != nil {
		return err
	}
	puller, err := k.puller(k.group+"_c", consumer.MessageSelector{})
	if err != nil {
		return err
	}
	if _, err = k.sendAll("k", 1); err != nil {
		return err
	}
	in := newInbox()
	err = puller.poll(in, func() bool { return len(in.of("k0")) >= 2 }, func(m *primitive.MessageExt) consumer.ConsumeResult {
		if m.ReconsumeTimes == 0 {
			return consumer.ConsumeRetryLater
		}
		return consumer.ConsumeSuccess
	})
	if err != nil {
		return err
	}
	if times := in.of("k0")[1].ReconsumeTimes; times != 1 {
		return fmt.Errorf("the second delivery says that it is number %d", times)
	}
	return nil
}

// sendTo fills one queue of the case's topic and returns it.
func (k *kit) sendTo(queue, count int, tag func(int) string) (*primitive.MessageQueue, error) {
	p, err := k.producer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	if err != nil {
		return nil, err
	}
	result := &primitive.SendResult{}
	for i := 0; i < count; i++ {
		message := k.message(fmt.Sprintf("k%d", i), tag(i))
		message.Queue = &primitive.MessageQueue{Topic: k.topic, BrokerName: "broker-a", QueueId: queue}
		if result, err = p.SendSync(context.Background(), message); err != nil {
			return nil, err
		}
		if result.MessageQueue.QueueId != queue || result.QueueOffset != int64(i) {
			return nil, fmt.Errorf("message %d is in queue %d at %d", i, result.MessageQueue.QueueId, result.QueueOffset)
		}
	}
	return result.MessageQueue, nil
}

func sameTag(int) string {
	return "T"
}

func expectPull(result *primitive.PullResult, status primitive.PullStatus, next int64, keys ...string) error {
	var got []string
	for _, message := range result.GetMessageExts() {
		got = append(got, keyOf(message))
	}
	if result.Status != status || result.NextBeginOffset != next || fmt.Sprint(got) != fmt.Sprint(keys) {
		return fmt.Errorf("pulled %v, status %d, next %d; expected %v, %d, %d", got, result.Status, result.NextBeginOffset,
			keys, status, next)
	}
	return nil
}

// pulledFrom: any offset of any queue, without being told by the group's balance.
func pulledFrom(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	queue, err := k.sendTo(2, 10, sameTag)
	if err != nil {
		return err
	}
	puller, err := k.puller(k.group+"_c", consumer.MessageSelector{})
	if err != nil {
		return err
	}
	result, err := puller.PullFrom(context.Background(), queue, 3, 4)
	if err == nil {
		err = expectPull(result, primitive.PullFound, 7, "k3", "k4", "k5", "k6")
	}
	if err != nil {
		return err
	}
	if result.MinOffset != 0 || result.MaxOffset != 10 {
		return fmt.Errorf("the queue is said to go from %d to %d", result.MinOffset, result.MaxOffset)
	}
	if result, err = puller.PullFrom(context.Background(), queue, 8, 32); err == nil {
		err = expectPull(result, primitive.PullFound, 10, "k8", "k9")
	}
	if err != nil {
		return err
	}
	result, err = puller.PullFrom(context.Background(), queue, 100, 32)
	if err != nil {
		return err
	}
	return expectPull(result, primitive.PullOffsetIllegal, 10)
}

func pulledByTag(k *kit) error {
	if err := k.createTopic(); err != nil {
		return err
	}
	queue, err := k.sendTo(1, 9, func(i int) string { return []string{"TagA", "TagB", "TagC"}[i%3] })
	if err != nil {
		return err
	}
	for _, row := range []struct {
		selector consumer.MessageSelector
		keys     []string
	}{
		{consumer.MessageSelector{Type: consumer.TAG, Expression: "TagA || TagC"}, []string{"k0", "k2", "k3", "k5", "k6", "k8"}},
		{sql("TAGS = 'TagB' AND colour IS NOT NULL"), []string{"k1", "k4", "k7"}},
	} {
		puller, err := k.puller(k.group+"_"+string(row.selector.Type), row.selector)
		if err != nil {
			return err
		}
		var got []string
		for offset := int64(0); offset < 9; {
			result, err := puller.PullFrom(context.Background(), queue, offset, 32)
			if err != nil {
				return err
			}
			for _, message := range result.GetMessageExts() {
				got = append(got, keyOf(message))
			}
			if result.NextBeginOffset <= offset {
				return fmt.Errorf("from %d the next one is %d", offset, result.NextBeginOffset)
			}
			offset = result.NextBeginOffset
		}
		if fmt.Sprint(got) != fmt.Sprint(row.keys) {
			return fmt.Errorf("%s gave %v, expected %v", row.selector.Expression, got, row.keys)
		}
	}
	return nil
}

// pullWaits: a pull at the end of a queue is answered by the next message.
func pullWaits(k *kit) error {
	if err := k.createTopicOf(k.topic, 1); err != nil {
		return err
	}
	queue, err := k.sendTo(0, 3, sameTag)
	if err != nil {
		return err
	}
	puller, err := k.puller(k.group+"_c", consumer.MessageSelector{})
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	begin := time.Now()
	go func() {
		time.Sleep(1500 * time.Millisecond)
		_, err := p.SendSync(context.Background(), k.message("late", "T"))
		sent <- err
	}()
	result, err := puller.PullFrom(context.Background(), queue, 3, 32)
	if err != nil {
		return err
	}
	if err = <-sent; err != nil {
		return err
	}
	if waited := time.Since(begin); waited < 1400*time.Millisecond || waited > 15*time.Second {
		return fmt.Errorf("answered after %v", waited)
	}
	return expectPull(result, primitive.PullFound, 4, "late")
}

// pullOffsets: what a consumer stores is where the next one of its group begins.
func pullOffsets(k *kit) error {
	if err := k.createTopicOf(k.topic, 1); err != nil {
		return err
	}
	queue, err := k.sendTo(0, 6, sameTag)
	if err != nil {
		return err
	}
	first, err := k.puller(k.group+"_c", consumer.MessageSelector{})
	if err != nil {
		return err
	}
	// What it stores is only of the queues that it has been given by then.
	stored := fmt.Sprintf(`"consumerGroup":"%s_c","topic":"%s","queueId":"0"`, k.group, k.topic)
	if err = await("the offset is stored", come, func() bool {
		if first.UpdateOffset(queue, 4) != nil || first.PersistOffset(context.Background(), k.topic) != nil {
			return false
		}
		header, _, err := k.askBroker(14, stored)
		return err == nil && offsetIn(header) == 4
	}); err != nil {
		return err
	}
	first.end()
	second, err := k.puller(k.group+"_c", consumer.MessageSelector{})
	if err != nil {
		return err
	}
	if offset, err := second.CurrentOffset(queue); err != nil || offset != 4 {
		return fmt.Errorf("the next one finds the offset %d, %v", offset, err)
	}
	result, err := second.Pull(context.Background(), 32)
	if err != nil {
		return err
	}
	return expectPull(result, primitive.PullFound, 6, "k4", "k5")
}
