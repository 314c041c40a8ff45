package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Brokers that die and come back. Each of these cases has a target of its own.

// ownCommand: to which a verb and a name are added, see ../own. Empty if there is none.
var ownCommand []string

func restartCases() []testCase {
	return []testCase{
		{name: "tx-broker-killed", ownTarget: true, run: brokerKilled},
		{name: "consume-broker-restart", ownTarget: true, run: brokerRestart},
	}
}

func (k *kit) own(verb string) (string, error) {
	arguments := append(append([]string{}, ownCommand[1:]...), verb, k.topic)
	output, err := exec.Command(ownCommand[0], arguments...).Output()
	if err != nil {
		return "", fmt.Errorf("%s of an own target: %w", verb, err)
	}
	return strings.TrimSpace(string(output)), nil
}

// useOwn starts a name server and a broker for this case; they end with it.
func (k *kit) useOwn() error {
	k.closers = append(k.closers, func() { _, _ = k.own("end") })
	namesrv, err := k.own("start")
	k.namesrv = namesrv
	return err
}

// brokerKilled: it dies between the half and its end, and with other transactions open. They are checked afterwards.
func brokerKilled(k *kit) error {
	if err := k.useOwn(); err != nil {
		return err
	}
	listener := newPlan()
	var killErr error
	listener.execute = func(message *primitive.Message) primitive.LocalTransactionState {
		if strings.HasPrefix(message.GetKeys(), "last") {
			_, killErr = k.own("kill")
			return primitive.CommitMessageState // In vain: there is nobody to hear it.
		}
		if message.GetProperty(planProperty) == commit {
			return primitive.CommitMessageState
		}
		return primitive.UnknowState
	}
	p, in, err := k.start(listener)
	if err != nil {
		return err
	}
	for i := 0; i < 3; i++ {
		if _, err = k.begin(p, fmt.Sprintf("u%d", i), unknownCommit); err != nil {
			return err
		}
		if _, err = k.begin(p, fmt.Sprintf("x%d", i), unknownRollback); err != nil {
			return err
		}
	}
	if _, err = k.begin(p, "last", unknownCommit); err != nil {
		return err
	}
	if killErr != nil {
		return killErr
	}
	if len(in.of("last")) != 0 {
		return fmt.Errorf("delivered without an end")
	}
	if _, err = k.own("again"); err != nil {
		return err
	}
	if err = await("the producer is back", 3*come, func() bool {
		_, err := k.begin(p, "after", commit)
		return err == nil
	}); err != nil {
		return err
	}
	if err = in.await(setOf("u0 u1 u2 last after"), 3*come); err != nil {
		return err
	}
	time.Sleep(2 * settle)
	for i := 0; i < 3; i++ {
		if key := fmt.Sprintf("x%d", i); len(in.of(key)) != 0 {
			return fmt.Errorf("%s was rolled back, and delivered", key)
		}
	}
	if n := len(in.of("last")); n != 1 || listener.checksOf("last") < 1 {
		return fmt.Errorf("the message without an end was delivered %d times, checked %d", n, listener.checksOf("last"))
	}
	return nil
}

// brokerRestart: producer and consumer find it again by themselves; what was acknowledged is delivered.
func brokerRestart(k *kit) error {
	if err := k.useOwn(); err != nil {
		return err
	}
	in, err := k.listen()
	if err != nil {
		return err
	}
	p, err := k.producer()
	if err != nil {
		return err
	}
	keys := map[string]bool{}
	send := func(key string) bool {
		if _, err := p.SendSync(context.Background(), k.message(key, "T")); err != nil {
			return false
		}
		keys[key] = true
		return true
	}
	for i := 0; i < 20; i++ {
		if !send(fmt.Sprintf("before%d", i)) {
			return fmt.Errorf("cannot send before the restart")
		}
	}
	if err = in.await(keys, come); err != nil {
		return err
	}
	if _, err = k.own("stop"); err != nil {
		return err
	}
	if send("while") {
		return fmt.Errorf("a broker that is stopped took a message")
	}
	if _, err = k.own("again"); err != nil {
		return err
	}
	for i := 0; i < 20; i++ {
		key := fmt.Sprintf("after%d", i)
		if err = await("the producer is back", 3*come, func() bool { return send(key) }); err != nil {
			return err
		}
	}
	return in.await(keys, 3*come)
}
