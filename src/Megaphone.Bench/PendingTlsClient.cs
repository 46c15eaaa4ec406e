using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Bench;

/// <summary>A connection whose TLS is being begun. Used by one thread at a time.</summary>
internal struct PendingTlsClient
{
    /// <summary>The connection's index.</summary>
    public int Index;

    /// <summary>Its socket.</summary>
    public int Descriptor;

    /// <summary>How far STARTTLS has come.</summary>
    public StartTlsStep Step;

    /// <summary>The server's stream before TLS.</summary>
    public StreamState Stream;

    /// <summary>OpenSSL's end of the handshake, once that has begun.</summary>
    public TlsSession Session;

    /// <summary>What the handshake has reported.</summary>
    public HandshakeSecrets Secrets;

    /// <summary>What has been taken over from it.</summary>
    public TlsConnectionState Tls;
}
