package interop;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Plain frames over a plain socket, for what no client does: an END that asks for an answer, or comes twice. */
final class Raw implements AutoCloseable {
    private static final int TIMEOUT_MS = 15_000;
    private static final int REGISTER_MS_MAX = 60_000;
    private static final Pattern FIELD = Pattern.compile("\"(\\w+)\":(?:\"((?:[^\"\\\\]|\\\\.)*)\"|(-?\\d+)|true|false|null)");

    private final Socket socket;
    private final DataOutputStream out;
    private final DataInputStream in;
    private int opaque;

    static final class Answer {
        int code;
        String remark;
        final Map<String, String> fields = new HashMap<>();
        byte[] body;

        Answer expect(int expected) {
            if (code != expected) {
                throw new AssertionError("response code " + code + " (" + remark + "), expected " + expected);
            }
            return this;
        }

        String text() {
            return new String(body, StandardCharsets.UTF_8);
        }
    }

    Raw(String address) throws IOException {
        int colon = address.lastIndexOf(':');
        socket = new Socket(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
        socket.setSoTimeout(TIMEOUT_MS);
        socket.setTcpNoDelay(true);
        out = new DataOutputStream(socket.getOutputStream());
        in = new DataInputStream(socket.getInputStream());
    }

    /** The address of the one broker; a name server that has just come back may not know it for a moment. */
    static String brokerAddress(String namesrv) throws Exception {
        Pattern address = Pattern.compile("\"brokerAddrs\":\\{\"?0\"?:\"([^\"]+)\"");
        String[] found = new String[1];
        Kit.await("a broker at the name server", REGISTER_MS_MAX, () -> {
            try (Raw raw = new Raw(namesrv)) {
                Matcher matcher = address.matcher(raw.call(106).expect(0).text());
                found[0] = matcher.find() ? matcher.group(1) : null;
                return found[0] != null;
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        });
        return found[0];
    }

    private static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c < ' ' || c == '"' || c == '\\') {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }

    Answer call(int code, String... fields) throws IOException {
        return call(code, new byte[0], fields);
    }

    Answer call(int code, byte[] body, String... fields) throws IOException {
        send(code, body, fields);
        return receive();
    }

    void send(int code, byte[] body, String... fields) throws IOException {
        StringBuilder header = new StringBuilder("{\"code\":" + code + ",\"extFields\":{");
        for (int i = 0; i < fields.length; i += 2) {
            header.append(i == 0 ? "" : ",").append(quote(fields[i])).append(':').append(quote(fields[i + 1]));
        }
        header.append("},\"flag\":0,\"language\":\"OTHER\",\"opaque\":").append(++opaque).append(",\"version\":409}");
        byte[] bytes = header.toString().getBytes(StandardCharsets.UTF_8);
        java.io.ByteArrayOutputStream frame = new java.io.ByteArrayOutputStream();
        DataOutputStream data = new DataOutputStream(frame);
        data.writeInt(4 + bytes.length + body.length);
        data.writeInt(bytes.length);
        data.write(bytes);
        data.write(body);
        out.write(frame.toByteArray());
        out.flush();
    }

    /** The next answer; requests that the peer sends are passed over. */
    Answer receive() throws IOException {
        while (true) {
            int length = in.readInt();
            int headerLength = in.readInt() & 0xFFFFFF;
            byte[] header = new byte[headerLength];
            in.readFully(header);
            Answer answer = new Answer();
            answer.body = new byte[length - 4 - headerLength];
            in.readFully(answer.body);
            Matcher matcher = FIELD.matcher(new String(header, StandardCharsets.UTF_8));
            while (matcher.find()) {
                answer.fields.put(matcher.group(1), matcher.group(2) != null ? matcher.group(2) : matcher.group(3));
            }
            answer.code = Integer.parseInt(answer.fields.get("code"));
            answer.remark = answer.fields.get("remark");
            if ((Integer.parseInt(answer.fields.get("flag")) & 1) == 1) {
                return answer;
            }
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
