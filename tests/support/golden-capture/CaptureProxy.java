import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A TCP proxy that passes every byte on as it came and keeps the first remoting frame of each kind.
 *
 * <p>{@code java CaptureProxy.java PEER OUT_DIR WANTED LISTEN_PORT=HOST:PORT...}. A kind is (peer, request code, response code,
 * serialization, variant); WANTED is a regular expression that its name must contain. A request and its response have one number. Files are OUT_DIR/NNN_peer_what_{req,resp}.bin,
 * each a raw frame with its length word; OUT_DIR/INDEX.tsv gets one line for each. Prints "ready" once it listens.
 */
public final class CaptureProxy {
    private static final int FRAME_MAX = 16 * 1024 * 1024;
    private static final int KEPT_MAX = 8 * 1024;
    private static final Map<Integer, String> NAMES = Map.ofEntries(Map.entry(10, "send"), Map.entry(11, "pull"),
        Map.entry(14, "query-offset"), Map.entry(15, "update-offset"), Map.entry(17, "create-topic"),
        Map.entry(29, "search-offset"), Map.entry(30, "max-offset"), Map.entry(31, "min-offset"), Map.entry(33, "view-message"),
        Map.entry(34, "heartbeat"), Map.entry(35, "unregister-client"), Map.entry(36, "send-back"),
        Map.entry(37, "end-transaction"), Map.entry(38, "consumer-list"), Map.entry(39, "check-transaction"),
        Map.entry(40, "consumers-changed"), Map.entry(103, "register-broker"), Map.entry(104, "unregister-broker"),
        Map.entry(105, "route"), Map.entry(106, "cluster-info"), Map.entry(200, "create-group"), Map.entry(206, "topic-list"),
        Map.entry(310, "send-v2"), Map.entry(320, "send-batch"), Map.entry(322, "query-data-version"),
        Map.entry(351, "topic-config"), Map.entry(904, "broker-heartbeat"));

    private final String peer;
    private final Path out;
    private final Pattern wanted;
    private final Set<String> kept = new HashSet<>();
    private int number;

    private CaptureProxy(String peer, Path out, Pattern wanted) throws IOException {
        this.peer = peer;
        this.out = out;
        this.wanted = wanted;
        Files.createDirectories(out);
        try (var files = Files.list(out)) {
            number = files.map(f -> f.getFileName().toString()).filter(f -> f.matches("\\d{3}_.*"))
                .mapToInt(f -> Integer.parseInt(f.substring(0, 3))).max().orElse(0);
        }
    }

    public static void main(String[] args) throws Exception {
        CaptureProxy proxy = new CaptureProxy(args[0], Path.of(args[1]), Pattern.compile(args[2]));
        for (int i = 3; i < args.length; i++) {
            String[] parts = args[i].split("[=:]");
            ServerSocket server = new ServerSocket();
            server.setReuseAddress(true);
            server.bind(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), Integer.parseInt(parts[0])));
            new Thread(() -> proxy.serve(server, parts[1], Integer.parseInt(parts[2]))).start();
        }
        System.out.println("ready");
    }

    private void serve(ServerSocket server, String host, int port) {
        while (true) {
            try {
                Socket client = server.accept();
                Socket target = new Socket(host, port);
                client.setTcpNoDelay(true);
                target.setTcpNoDelay(true);
                // Requests by who asked; each side has its own sequence of opaques.
                Map<Integer, Frame> fromClient = new ConcurrentHashMap<>();
                Map<Integer, Frame> fromTarget = new ConcurrentHashMap<>();
                new Thread(() -> pump(client, target, fromClient, fromTarget)).start();
                new Thread(() -> pump(target, client, fromTarget, fromClient)).start();
            } catch (IOException e) {
                System.err.println("connection to " + host + ":" + port + ": " + e.getMessage());
            }
        }
    }

    private void pump(Socket from, Socket to, Map<Integer, Frame> mine, Map<Integer, Frame> theirs) {
        try (from; to) {
            DataInputStream in = new DataInputStream(new BufferedInputStream(from.getInputStream(), 65536));
            OutputStream sink = to.getOutputStream();
            while (true) {
                int length = in.readInt();
                if (length < 4 || length > FRAME_MAX) {
                    throw new IOException("frame of " + length + " bytes");
                }
                byte[] bytes = new byte[4 + length];
                ByteBuffer.wrap(bytes).putInt(length);
                in.readFully(bytes, 4, length);
                Frame frame = new Frame(bytes);
                if (frame.isOfATest()) {
                    sink.write(bytes);
                    continue;
                }
                if (frame.isResponse()) {
                    Frame request = theirs.remove(frame.opaque);
                    if (request != null) {
                        keep(request, frame);
                    }
                } else if ((frame.flag & 2) != 0 || frame.code == 39 || frame.code == 40) {
                    keep(frame, null); // One-way, or never answered.
                } else {
                    mine.put(frame.opaque, frame);
                }
                sink.write(bytes);
            }
        } catch (EOFException e) {
            // The peer has closed; so do we.
        } catch (IOException e) {
            if (!"Socket closed".equals(e.getMessage()) && !"Connection reset".equals(e.getMessage())) {
                System.err.println("capture: " + e.getMessage());
            }
        }
    }

    private synchronized void keep(Frame request, Frame response) {
        String what = NAMES.getOrDefault(request.code, "code" + request.code) + request.variant()
            + (request.binary() ? "-binary" : "");
        String outcome = response == null || response.code == 0 ? "" : "-" + response.code;
        if (request.bytes.length > KEPT_MAX || (response != null && response.bytes.length > KEPT_MAX)) {
            return;
        }
        if (!wanted.matcher(what + outcome).find() || (response != null && response.isEmptyCluster())) {
            return;
        }
        if (!kept.add(what + outcome + (response == null ? "-oneway" : ""))) {
            return;
        }
        try {
            String name = String.format("%03d_%s_%s%s", ++number, peer, what, outcome);
            write(name + "_req.bin", request, request.code, what);
            if (response != null) {
                write(name + "_resp.bin", response, request.code, what + " answered " + response.code);
            }
        } catch (IOException e) {
            System.err.println("capture: " + e);
        }
    }

    private void write(String file, Frame frame, int code, String what) throws IOException {
        Files.write(out.resolve(file), frame.bytes);
        String line = String.join("\t", file, peer, frame.isResponse() ? "resp" : "req", "" + code,
            frame.binary() ? "ROCKETMQ" : "JSON", what) + "\n";
        Files.writeString(out.resolve("INDEX.tsv"), line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    /** As much of a frame as tells what kind it is. */
    private static final class Frame {
        private static final Pattern NUMBER = Pattern.compile("\"(code|flag|opaque)\":(-?\\d+)");
        private static final Pattern FIELD = Pattern.compile("\"(\\w+)\":\"((?:[^\"\\\\]|\\\\.)*)\"");

        final byte[] bytes;
        final int headerLength;
        int code;
        int flag;
        int opaque;
        final Map<String, String> fields = new HashMap<>();

        Frame(byte[] bytes) throws IOException {
            this.bytes = bytes;
            headerLength = ByteBuffer.wrap(bytes).getInt(4) & 0xFFFFFF;
            if (headerLength > bytes.length - 8) {
                throw new IOException("header of " + headerLength + " bytes in a frame of " + bytes.length);
            }
            if (binary()) {
                readBinary(ByteBuffer.wrap(bytes, 8, headerLength));
            } else {
                readJson(new String(bytes, 8, headerLength, StandardCharsets.UTF_8));
            }
        }

        boolean binary() {
            return bytes[4] == 1;
        }

        boolean isResponse() {
            return (flag & 1) != 0;
        }

        /** The suites' own plain frames call themselves OTHER, as no real peer does. */
        boolean isOfATest() {
            return !isResponse() && !binary() && new String(bytes, 8, headerLength, StandardCharsets.UTF_8).contains("\"OTHER\"");
        }

        private void readJson(String header) {
            Matcher numbers = NUMBER.matcher(header);
            while (numbers.find()) {
                int value = Integer.parseInt(numbers.group(2));
                switch (numbers.group(1)) {
                    case "code": code = value; break;
                    case "flag": flag = value; break;
                    default: opaque = value; break;
                }
            }
            Matcher texts = FIELD.matcher(header);
            while (texts.find()) {
                fields.put(texts.group(1), texts.group(2));
            }
        }

        private void readBinary(ByteBuffer header) {
            code = header.getShort();
            header.position(header.position() + 3);
            opaque = header.getInt();
            flag = header.getInt();
            header.position(header.position() + 4 + header.getInt(header.position()));
            int end = header.getInt() + header.position();
            while (header.position() < end) {
                byte[] key = new byte[header.getShort()];
                header.get(key);
                byte[] value = new byte[header.getInt()];
                header.get(value);
                fields.put(new String(key, StandardCharsets.UTF_8), new String(value, StandardCharsets.UTF_8));
            }
        }

        /** A name server's answer before any broker has registered. */
        boolean isEmptyCluster() {
            return body().contains("\"brokerAddrTable\":{}");
        }

        private String body() {
            return new String(bytes, 8 + headerLength, bytes.length - 8 - headerLength, StandardCharsets.ISO_8859_1);
        }

        /** What tells requests of one code apart that a reader should have seen both of. */
        String variant() {
            List<String> parts = new ArrayList<>();
            String properties = fields.getOrDefault(code == 10 ? "properties" : "i", "");
            switch (code) {
                case 10: case 310: case 320:
                    parts.add(properties.contains("TRAN_MSG") ? "half" : "");
                    parts.add(properties.contains("DELAY") ? "delayed" : "");
                    parts.add(fields.getOrDefault("b", fields.getOrDefault("topic", "")).startsWith("%RETRY%") ? "retry" : "");
                    break;
                case 37:
                    parts.add(Map.of("8", "commit", "12", "rollback").getOrDefault(fields.get("commitOrRollback"), "unknown"));
                    parts.add("true".equals(fields.get("fromTransactionCheck")) ? "checked" : "");
                    break;
                case 34:
                    parts.add(body().contains("\"consumeType\"") ? "consumer" : "producer");
                    break;
                case 11:
                    parts.add(fields.getOrDefault("topic", "").startsWith("%RETRY%") ? "retry" : "");
                    parts.add("flags" + fields.get("sysFlag"));
                    break;
                case 14: case 15: case 105:
                    String topic = fields.getOrDefault("topic", "");
                    parts.add(topic.startsWith("%RETRY%") ? "retry" : topic.equals("TBW102") ? "tbw102" : "");
                    break;
                case 35:
                    parts.add(fields.containsKey("consumerGroup") ? "consumer" : "producer");
                    break;
                case 103:
                    parts.add(body().startsWith("{") ? "json" : "zlib");
                    break;
                default: break;
            }
            parts.removeIf(String::isEmpty);
            return parts.isEmpty() ? "" : "-" + String.join("-", parts);
        }
    }
}
