package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.exception.RequestTimeoutException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;

/** Request and reply: the answer of a consumer comes back to the producer that asked. */
final class ReplyCases {
    private static final long COME_MS = 45_000;

    private ReplyCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("reply-comes-back", ReplyCases::comesBack),
            Case.everywhere("reply-to-nobody", ReplyCases::toNobody));
    }

    /** A consumer that answers what it is asked, but for keys that begin with "silent". */
    private static Inbox replier(Kit kit, CompletableFuture<Exception> refusal) throws Exception {
        DefaultMQProducer replies = new DefaultMQProducer(kit.group + "_replies");
        replies.setNamesrvAddr(kit.namesrv);
        replies.setInstanceName(kit.group + "_replies");
        replies.start();
        kit.onClose(replies::shutdown);
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "*", inbox, (message, context) -> {
            if (message.getKeys() == null || !message.getKeys().startsWith("silent")) {
                try {
                    byte[] body = ("reply to " + new String(message.getBody(), StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
                    replies.send(MessageUtil.createReplyMessage(message, body), 5000);
                } catch (Exception e) {
                    refusal.complete(e);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }, c -> { });
        return inbox;
    }

    private static void comesBack(Kit kit) throws Exception {
        kit.createTopic();
        CompletableFuture<Exception> refusal = new CompletableFuture<>();
        replier(kit, refusal);
        DefaultMQProducer producer = kit.producer();
        for (int i = 0; i < 5; i++) {
            Message answer = producer.request(kit.message("k" + i, "T"), COME_MS);
            checkEqual("reply to body of k" + i, new String(answer.getBody(), StandardCharsets.UTF_8), "the reply");
            check(answer.getProperty("CORRELATION_ID") != null, "no CORRELATION_ID");
            check(answer.getProperty("PUSH_REPLY_TIME") != null, "no PUSH_REPLY_TIME");
            check(((MessageExt) answer).getBornHostString() != null, "no born host");
        }
        try {
            producer.request(kit.message("silent", "T"), 2000);
            throw new AssertionError("a reply that nobody sent");
        } catch (RequestTimeoutException e) {
            check(!refusal.isDone(), "a reply was refused");
        }
    }

    /** The client that asked is gone when the reply comes. */
    private static void toNobody(Kit kit) throws Exception {
        kit.createTopic();
        CompletableFuture<Exception> refusal = new CompletableFuture<>();
        DefaultMQProducer producer = kit.producer();
        Message question = kit.message("k", "T");
        MessageAccessor.putProperty(question, "CORRELATION_ID", "c-1");
        MessageAccessor.putProperty(question, "REPLY_TO_CLIENT", "10.9.8.7@nobody");
        MessageAccessor.putProperty(question, "TTL", "3000");
        producer.send(question);
        replier(kit, refusal);
        Exception e = refusal.get(COME_MS, TimeUnit.MILLISECONDS);
        check(e instanceof MQClientException, "refused with " + e); // After its retries.
        checkEqual(1, ((MQClientException) e).getResponseCode(), "code of the refusal");
        check(e.getCause().getMessage().contains("10.9.8.7@nobody"), e.getCause().getMessage());
    }
}
