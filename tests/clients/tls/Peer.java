import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.KeyStore;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.List;
import javax.net.ssl.*;

/**
 * Java's TLS as a client: java Peer.java PORT AUTHORITY HOST VERSION SUITE
 *
 * Connects to 127.0.0.1 twice, the second time with the session of the first. Each time it checks the certificate, sends 1 MB in pieces of
 * odd sizes, reads all of it back, and ends in order: close_notify is sent and must come. With TLS 1.3 it updates its keys, and asks for the
 * other end's, whenever it has sent or received 200 KB. Prints a line for each connection. SUITE is the registry's name.
 */
public class Peer {
    static final byte[] BYTES = new byte[1 << 20];

    public static void main(String[] args) throws Exception {
        for (String suite : List.of("AES/GCM/NoPadding", "ChaCha20-Poly1305")) {
            String before = Security.getProperty("jdk.tls.keyLimits");
            Security.setProperty("jdk.tls.keyLimits", (before == null || suite.startsWith("AES") ? "" : before + ", ") + suite + " KeyUpdate 200000");
        }
        for (int i = 0; i < BYTES.length; i++) BYTES[i] = (byte) (i * i >> 7);

        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream file = new FileInputStream(args[1])) {
            trusted.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        for (int i = 0; i < 2; i++) talk(context, Integer.parseInt(args[0]), args[2], args[3], args[4]);
    }

    static void talk(SSLContext context, int port, String host, String version, String suite) throws Exception {
        try (java.net.Socket plain = new java.net.Socket("127.0.0.1", port);
             SSLSocket tls = (SSLSocket) context.getSocketFactory().createSocket(plain, host, port, true)) {
            SSLParameters parameters = tls.getSSLParameters();
            parameters.setServerNames(List.of(new SNIHostName(host)));
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            parameters.setApplicationProtocols(new String[] {"xmpp-client"});
            parameters.setProtocols(new String[] {"TLSv" + version});
            parameters.setCipherSuites(new String[] {suite});
            tls.setSSLParameters(parameters);
            long began = System.currentTimeMillis();
            tls.startHandshake();
            SSLSession session = tls.getSession();
            Thread sending = new Thread(() -> send(tls));
            sending.start();
            byte[] received = tls.getInputStream().readNBytes(BYTES.length);
            sending.join();
            tls.shutdownOutput();
            // Without close_notify this throws.
            boolean ended = tls.getInputStream().read() == -1;
            boolean resumed = session.getCreationTime() < began - 1;
            System.out.println(String.join(" ", resumed ? "resumed" : "full", session.getProtocol(), session.getCipherSuite(),
                Arrays.equals(BYTES, received) ? "echoed" : "CHANGED", ended ? "ended" : "CUT"));
        }
    }

    static void send(SSLSocket tls) {
        try {
            OutputStream out = tls.getOutputStream();
            for (int at = 0, piece = 1; at < BYTES.length; at += piece, piece = piece * 7 % 70_001 + 1)
                out.write(BYTES, at, Math.min(piece, BYTES.length - at));
        } catch (Exception failure) {
            throw new RuntimeException(failure);
        }
    }
}
