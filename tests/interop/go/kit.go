package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const (
	come        = 45 * time.Second // what must come comes within
	settle      = 3 * time.Second  // and nothing else comes within another
	sendTimeout = 10 * time.Second
)

var (
	sequence int64
	runName  = strconv.FormatInt(time.Now().Unix()%1000000, 36) + strconv.FormatInt(int64(os.Getpid()), 36)
)

// kit is what one case works with: names of its own and clients that end with it.
type kit struct {
	namesrv, topic, group string
	closers               []func()
}

func newKit(namesrv, name string) *kit {
	return &kit{namesrv: namesrv, topic: "T_go_" + name + "_" + runName, group: "G_go_" + name + "_" + runName}
}

func (k *kit) close() {
	for i := len(k.closers) - 1; i >= 0; i-- {
		k.closers[i]()
	}
}

func (k *kit) resolver() primitive.NsResolver {
	return primitive.NewPassthroughResolver([]string{k.namesrv})
}

// instance names are never shared: clients of one name share connections and the first one's groups.
func (k *kit) instance() string {
	return fmt.Sprintf("%s-%d", k.group, atomic.AddInt64(&sequence, 1))
}

func await(what string, limit time.Duration, condition func() bool) error {
	for end := time.Now().Add(limit); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %v", what, limit)
		}
	}
	return nil
}

// ask sends one plain frame to the name server and returns the answer's header and body.
func (k *kit) ask(code int, fields string) (header, body string, err error) {
	return ask(k.namesrv, code, fields)
}

// askBroker: the same, of the broker. Fails unless the answer's code is 0.
func (k *kit) askBroker(code int, fields string) (header, body string, err error) {
	address, err := k.brokerAddress()
	if err != nil {
		return "", "", err
	}
	header, body, err = ask(address, code, fields)
	if err == nil && !succeeded(header) {
		err = fmt.Errorf("request %d was answered %s", code, header)
	}
	return header, body, err
}

func succeeded(header string) bool {
	return regexp.MustCompile(`"code":0\b`).MatchString(header)
}

func ask(address string, code int, fields string) (header, body string, err error) {
	conn, err := net.DialTimeout("tcp", address, 3*time.Second)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second)) // A broker may have to ask a client first.
	text := fmt.Sprintf(`{"code":%d,"extFields":{%s},"flag":0,"language":"OTHER","opaque":1,"version":409}`, code, fields)
	frame := make([]byte, 8, 8+len(text))
	binary.BigEndian.PutUint32(frame, uint32(4+len(text)))
	binary.BigEndian.PutUint32(frame[4:], uint32(len(text)))
	if _, err = conn.Write(append(frame, text...)); err != nil {
		return "", "", err
	}
	if _, err = io.ReadFull(conn, frame[:8]); err != nil {
		return "", "", err
	}
	length, headerLength := binary.BigEndian.Uint32(frame), binary.BigEndian.Uint32(frame[4:])&0xFFFFFF
	rest := make([]byte, length-4)
	if _, err = io.ReadFull(conn, rest); err != nil {
		return "", "", err
	}
	return string(rest[:headerLength]), string(rest[headerLength:]), nil
}

func (k *kit) awaitRoute(topic string, limit time.Duration) error {
	return await("route of "+topic, limit, func() bool {
		header, _, err := k.ask(105, `"topic":"`+topic+`"`)
		return err == nil && succeeded(header)
	})
}

// brokerAddress waits for a broker that has just started.
func (k *kit) brokerAddress() (string, error) {
	var address []string
	err := await("a broker at the name server", come, func() bool {
		_, info, err := k.ask(106, "")
		address = regexp.MustCompile(`"brokerAddrs":\{"?0"?:"([^"]+)"`).FindStringSubmatch(info)
		return err == nil && address != nil
	})
	if err != nil {
		return "", err
	}
	return address[1], nil
}

func (k *kit) admin() (admin.Admin, error) {
	a, err := admin.NewAdmin(admin.WithResolver(k.resolver()))
	if err != nil {
		return nil, err
	}
	k.closers = append(k.closers, func() { _ = a.Close() })
	return a, nil
}

// createTopic makes the case's topic, of four queues.
func (k *kit) createTopic() error {
	return k.createTopicOf(k.topic, 4)
}

// createTopicOf goes through the client's admin, and waits: a Go consumer fails to start without a route.
func (k *kit) createTopicOf(topic string, queues int) error {
	address, err := k.brokerAddress()
	if err != nil {
		return err
	}
	a, err := k.admin()
	if err != nil {
		return err
	}
	if err = await("topic "+topic, come, func() bool { // Again, if a busy machine was too slow for the client.
		return a.CreateTopic(context.Background(), admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(address),
			admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues)) == nil
	}); err != nil {
		return err
	}
	return k.awaitRoute(topic, come)
}

func (k *kit) message(key, tag string) *primitive.Message {
	message := primitive.NewMessage(k.topic, []byte("body of "+key))
	message.WithKeys([]string{key})
	message.WithTag(tag)
	message.WithProperty("colour", "grün")
	return message
}

func (k *kit) producer(options ...producer.Option) (rocketmq.Producer, error) {
	p, err := rocketmq.NewProducer(append([]producer.Option{producer.WithNsResolver(k.resolver()),
		producer.WithGroupName(k.group + "_p"), producer.WithInstanceName(k.instance()),
		producer.WithSendMsgTimeout(sendTimeout)}, options...)...)
	if err != nil {
		return nil, err
	}
	k.closers = append(k.closers, func() { _ = p.Shutdown() })
	return patientProducer{p}, p.Start()
}

func (k *kit) transactional(listener primitive.TransactionListener) (rocketmq.TransactionProducer, error) {
	return k.transactionalOf(k.group+"_tx", listener)
}

func (k *kit) transactionalOf(group string, listener primitive.TransactionListener) (rocketmq.TransactionProducer, error) {
	p, err := rocketmq.NewTransactionProducer(listener, producer.WithNsResolver(k.resolver()),
		producer.WithGroupName(group), producer.WithInstanceName(k.instance()),
		producer.WithSendMsgTimeout(sendTimeout))
	if err != nil {
		return nil, err
	}
	k.closers = append(k.closers, func() { _ = p.Shutdown() })
	return patientTransactions{p}, p.Start()
}

// A stock broker on a busy machine refuses messages for a while, with code 2 and before it has done anything with them.
// Nothing else is sent again: it could be there twice.
type patientProducer struct{ rocketmq.Producer }

type patientTransactions struct{ rocketmq.TransactionProducer }

func (p patientProducer) SendSync(ctx context.Context, messages ...*primitive.Message) (*primitive.SendResult, error) {
	topic := messages[0].Topic // A client with a namespace puts it before the topic each time.
	for end := time.Now().Add(come); ; time.Sleep(200 * time.Millisecond) {
		result, err := p.Producer.SendSync(ctx, messages...)
		if !refusedForNow(err) || time.Now().After(end) {
			return result, err
		}
		for _, message := range messages {
			message.Topic = topic
		}
	}
}

func (p patientTransactions) SendMessageInTransaction(ctx context.Context,
	message *primitive.Message) (*primitive.TransactionSendResult, error) {
	for end := time.Now().Add(come); ; time.Sleep(200 * time.Millisecond) {
		result, err := p.TransactionProducer.SendMessageInTransaction(ctx, message)
		if !refusedForNow(err) || time.Now().After(end) {
			return result, err
		}
	}
}

func refusedForNow(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "CODE: 2,")
}

type consume func(*primitive.ConsumeConcurrentlyContext, *primitive.MessageExt) consumer.ConsumeResult

func succeed(*primitive.ConsumeConcurrentlyContext, *primitive.MessageExt) consumer.ConsumeResult {
	return consumer.ConsumeSuccess
}

// subscribe starts a push consumer; the function that it returns ends it, and so does the end of the case.
func (k *kit) subscribe(group, topic, tags string, in *inbox, do consume, options ...consumer.Option) (func(), error) {
	selector := consumer.MessageSelector{}
	if tags != "*" {
		selector = consumer.MessageSelector{Type: consumer.TAG, Expression: tags}
	}
	return k.subscribeBy(group, topic, selector,
		func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			concurrently, _ := primitive.GetConcurrentlyCtx(ctx)
			in.add(messages[0])
			return do(concurrently, messages[0]), nil
		}, options...)
}

type callback func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// subscribeBy is subscribe with any selector and the client's own form of callback.
func (k *kit) subscribeBy(group, topic string, selector consumer.MessageSelector, do callback,
	options ...consumer.Option) (func(), error) {
	c, err := rocketmq.NewPushConsumer(append([]consumer.Option{consumer.WithNsResolver(k.resolver()),
		consumer.WithGroupName(group), consumer.WithInstance(k.instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset)}, options...)...)
	if err != nil {
		return nil, err
	}
	if err = c.Subscribe(topic, selector, do); err != nil {
		return nil, err
	}
	var once sync.Once
	end := func() { once.Do(func() { _ = c.Shutdown() }) }
	k.closers = append(k.closers, end)
	return end, c.Start()
}

// listen subscribes the case's group to all of its topic.
func (k *kit) listen() (*inbox, error) {
	if err := k.createTopic(); err != nil {
		return nil, err
	}
	in := newInbox()
	_, err := k.subscribe(k.group+"_c", k.topic, "*", in, succeed)
	return in, err
}

func keyOf(message *primitive.MessageExt) string {
	return strings.TrimSpace(message.GetKeys())
}
