package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// Transactional producers: a message is seen if and only if its local transaction committed, and once.

const (
	planProperty       = "plan"
	commit             = "commit"
	rollback           = "rollback"
	unknownCommit      = "unknown-commit"
	unknownRollback    = "unknown-rollback"
	unknownTwiceCommit = "unknown-twice-commit" // the first check is answered UNKNOWN, too
)

// plan is a listener that does what the message's property says and counts the checks by key.
type plan struct {
	lock    sync.Mutex
	checks  map[string]int
	execute func(*primitive.Message) primitive.LocalTransactionState
}

func newPlan() *plan {
	return &plan{checks: map[string]int{}}
}

func (p *plan) ExecuteLocalTransaction(message *primitive.Message) primitive.LocalTransactionState {
	if p.execute != nil {
		return p.execute(message)
	}
	switch message.GetProperty(planProperty) {
	case commit:
		return primitive.CommitMessageState
	case rollback:
		return primitive.RollbackMessageState
	}
	return primitive.UnknowState
}

func (p *plan) CheckLocalTransaction(message *primitive.MessageExt) primitive.LocalTransactionState {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.checks[keyOf(message)]++
	switch message.GetProperty(planProperty) {
	case unknownRollback:
		return primitive.RollbackMessageState
	case unknownTwiceCommit:
		if p.checks[keyOf(message)] == 1 {
			return primitive.UnknowState
		}
	}
	return primitive.CommitMessageState
}

func (p *plan) checksOf(key string) int {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.checks[key]
}

func transactionCases() []testCase {
	return []testCase{
		{name: "tx-mixed-2000", run: mixed},
		{name: "tx-commit", run: committed},
		{name: "tx-rollback", run: rolledBack},
		{name: "tx-unknown-commit", run: func(k *kit) error { return unknown(k, unknownCommit, 1, true) }},
		{name: "tx-unknown-rollback", run: func(k *kit) error { return unknown(k, unknownRollback, 1, false) }},
		{name: "tx-unknown-twice", run: func(k *kit) error { return unknown(k, unknownTwiceCommit, 2, true) }},
		{name: "tx-other-instance", run: otherInstance},
		{name: "tx-gone-long", run: goneLong},
		{name: "tx-two-groups", run: twoProducerGroups},
		{name: "tx-large", run: largeTransactions},
	}
}

func (k *kit) begin(p rocketmq.TransactionProducer, key, what string) (*primitive.TransactionSendResult, error) {
	message := k.message(key, "T")
	message.WithProperty(planProperty, what)
	return p.SendMessageInTransaction(context.Background(), message)
}

// start gives a transactional producer and a consumer of the case's topic.
func (k *kit) start(listener primitive.TransactionListener) (rocketmq.TransactionProducer, *inbox, error) {
	in, err := k.listen()
	if err != nil {
		return nil, nil, err
	}
	p, err := k.transactional(listener)
	return p, in, err
}

func committed(k *kit) error {
	p, in, err := k.start(newPlan())
	if err != nil {
		return err
	}
	keys := map[string]bool{}
	for i := 0; i < 10; i++ {
		key := fmt.Sprintf("c%d", i)
		keys[key] = true
		if _, err = k.begin(p, key, commit); err != nil {
			return err
		}
	}
	if err = in.expectExactly(keys, come, settle); err != nil {
		return err
	}
	message := in.of("c9")[0]
	if string(message.Body) != "body of c9" || message.GetTags() != "T" || message.GetProperty("colour") != "grün" {
		return fmt.Errorf("c9 came as %v", message)
	}
	return nil
}

func rolledBack(k *kit) error {
	listener := newPlan()
	p, in, err := k.start(listener)
	if err != nil {
		return err
	}
	for i := 0; i < 10; i++ {
		if _, err = k.begin(p, fmt.Sprintf("r%d", i), rollback); err != nil {
			return err
		}
	}
	if _, err = k.begin(p, "c", commit); err != nil {
		return err
	}
	if err = in.expectExactly(map[string]bool{"c": true}, come, 2*settle); err != nil {
		return err
	}
	if len(listener.checks) != 0 {
		return fmt.Errorf("decided transactions were checked: %v", listener.checks)
	}
	return nil
}

func unknown(k *kit, what string, checks int, delivered bool) error {
	listener := newPlan()
	p, in, err := k.start(listener)
	if err != nil {
		return err
	}
	keys := map[string]bool{}
	for i := 0; i < 5; i++ {
		key := fmt.Sprintf("u%d", i)
		keys[key] = true
		if _, err = k.begin(p, key, what); err != nil {
			return err
		}
	}
	for key := range keys {
		if err = await("a check of "+key, come, func() bool { return listener.checksOf(key) >= checks }); err != nil {
			return err
		}
	}
	wanted := keys
	if !delivered {
		wanted = nil
	}
	if err = in.expectExactly(wanted, come, 2*settle); err != nil {
		return err
	}
	for key := range keys {
		if n := listener.checksOf(key); n != checks {
			return fmt.Errorf("%s was checked %d times, expected %d", key, n, checks)
		}
	}
	return nil
}

// otherInstance: one instance dies inside a local transaction; another one of its group is asked.
func otherInstance(k *kit) error {
	listener := newPlan()
	p, in, err := k.start(listener)
	if err != nil {
		return err
	}
	if _, err = k.begin(p, "first", commit); err != nil { // A broker knows a Go producer from its first send on.
		return err
	}
	keys, err := k.runVictim(5)
	if err != nil {
		return err
	}
	keys["first"] = true
	return in.expectExactly(keys, come, settle)
}

// goneLong: nobody of the group is there for many check intervals; then somebody returns.
func goneLong(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	keys, err := k.runVictim(20)
	if err != nil {
		return err
	}
	time.Sleep(12 * time.Second)
	if in.size() != 0 {
		return fmt.Errorf("%d delivered while nobody could be asked", in.size())
	}
	p, err := k.transactional(newPlan())
	if err != nil {
		return err
	}
	if _, err = k.begin(p, "first", commit); err != nil {
		return err
	}
	keys["first"] = true
	return in.expectExactly(keys, come, settle)
}

// twoProducerGroups: who is asked about a half is the group that sent it, whatever else is in its topic.
func twoProducerGroups(k *kit) error {
	in, err := k.listen()
	if err != nil {
		return err
	}
	listeners := []*plan{newPlan(), newPlan()}
	for i, listener := range listeners {
		p, err := k.transactionalOf(fmt.Sprintf("%s_tx%d", k.group, i), listener)
		if err != nil {
			return err
		}
		for n, what := range []string{unknownCommit, unknownRollback} {
			if _, err = k.begin(p, fmt.Sprintf("g%d-%d", i, n), what); err != nil {
				return err
			}
		}
	}
	if err = await("all checks", come, func() bool {
		return listeners[0].checksOf("g0-1") > 0 && listeners[1].checksOf("g1-1") > 0
	}); err != nil {
		return err
	}
	if err = in.expectExactly(setOf("g0-0 g1-0"), come, 2*settle); err != nil {
		return err
	}
	for i, listener := range listeners {
		for n := 0; n < 2; n++ {
			if own, other := fmt.Sprintf("g%d-%d", i, n), fmt.Sprintf("g%d-%d", 1-i, n); listener.checksOf(own) != 1 ||
				listener.checksOf(other) != 0 {
				return fmt.Errorf("group %d was asked %d times about its own, %d about the other's", i, listener.checksOf(own),
					listener.checksOf(other))
			}
		}
	}
	return nil
}

// largeTransactions: a body that the client compresses, as the check shows it and as the consumer gets it.
func largeTransactions(k *kit) error {
	body := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	listener := &bodyPlan{plan: newPlan(), want: body}
	p, in, err := k.start(listener)
	if err != nil {
		return err
	}
	for key, what := range map[string]string{"c": commit, "r": rollback, "u": unknownCommit} {
		message := k.message(key, "T")
		message.Body = body
		message.WithProperty(planProperty, what)
		if _, err = p.SendMessageInTransaction(context.Background(), message); err != nil {
			return err
		}
	}
	if err = in.expectExactly(setOf("c u"), come, 2*settle); err != nil {
		return err
	}
	for _, key := range []string{"c", "u"} {
		if !bytes.Equal(in.of(key)[0].Body, body) {
			return fmt.Errorf("%s came with %d other bytes", key, len(in.of(key)[0].Body))
		}
	}
	if wrong := atomic.LoadInt32(&listener.wrong); wrong != 0 || listener.checksOf("u") != 1 {
		return fmt.Errorf("%d checks, %d with another body", listener.checksOf("u"), wrong)
	}
	return nil
}

// bodyPlan also looks at the bodies that it is asked about.
type bodyPlan struct {
	*plan
	want  []byte
	wrong int32
}

func (p *bodyPlan) CheckLocalTransaction(message *primitive.MessageExt) primitive.LocalTransactionState {
	if !bytes.Equal(message.Body, p.want) {
		atomic.AddInt32(&p.wrong, 1)
	}
	return p.plan.CheckLocalTransaction(message)
}

// mixed: four goroutines, 2,000 transactions of every kind.
func mixed(k *kit) error {
	p, in, err := k.start(newPlan())
	if err != nil {
		return err
	}
	plans := []string{commit, commit, rollback, commit, unknownCommit, rollback, commit, unknownRollback}
	keys := map[string]bool{}
	errs := make(chan error, 4)
	for t := 0; t < 4; t++ {
		t := t
		for i := 0; i < 500; i++ {
			if strings.HasSuffix(plans[i%len(plans)], commit) {
				keys[fmt.Sprintf("m%d-%d", t, i)] = true
			}
		}
		go func() {
			var err error
			for i := 0; i < 500 && err == nil; i++ {
				_, err = k.begin(p, fmt.Sprintf("m%d-%d", t, i), plans[i%len(plans)])
			}
			errs <- err
		}()
	}
	for t := 0; t < 4; t++ {
		if err := <-errs; err != nil {
			return err
		}
	}
	return in.expectExactly(keys, 2*come, 2*settle)
}

// A victim is a producer in a process of its own that says UNKNOWN a few times and dies in its last local transaction.

const (
	victimArgument = "victim"
	victimStatus   = 99
)

// runVictim returns the keys of the transactions that it left open, all to be committed when asked.
func (k *kit) runVictim(count int) (map[string]bool, error) {
	command := exec.Command(os.Args[0], victimArgument, k.namesrv, k.topic, k.group, strconv.Itoa(count))
	err := command.Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != victimStatus {
		return nil, fmt.Errorf("the producer that should die ended with %v", err)
	}
	keys := map[string]bool{}
	for i := 0; i < count; i++ {
		keys[fmt.Sprintf("v%d", i)] = true
	}
	return keys, nil
}

func beVictim(arguments []string) {
	k := &kit{namesrv: arguments[0], topic: arguments[1], group: arguments[2]}
	count, _ := strconv.Atoi(arguments[3])
	listener := newPlan()
	listener.execute = func(message *primitive.Message) primitive.LocalTransactionState {
		if message.GetKeys() == fmt.Sprintf("v%d", count-1) {
			os.Exit(victimStatus)
		}
		return primitive.UnknowState
	}
	p, err := rocketmq.NewTransactionProducer(listener, producer.WithNsResolver(k.resolver()),
		producer.WithGroupName(k.group+"_tx"), producer.WithInstanceName("victim"))
	if err == nil {
		err = p.Start()
	}
	for i := 0; i < count && err == nil; i++ {
		_, err = k.begin(p, fmt.Sprintf("v%d", i), unknownCommit)
	}
	fmt.Fprintln(os.Stderr, "victim:", err)
	os.Exit(1)
}
