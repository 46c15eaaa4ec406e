using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>
/// What a connection has beside its slot whose records OpenSSL opens and seals: 24 bytes. The gate guards the session; the rest is the
/// reactor's alone.
/// </summary>
/// <param name="session">Its TLS, which it owns.</param>
internal struct OpenSslState(TlsSession session)
{
    /// <summary>Its TLS.</summary>
    public readonly TlsSession Session = session;

    /// <summary>What has been received and not been opened.</summary>
    public KeptInput Kept;

    /// <summary>Records without data since the last one that had some.</summary>
    public int RecordsWithoutData;

    /// <summary>Frees the native memory, the session included.</summary>
    public void Free()
    {
        Kept.Free();
        Session.Free();
    }
}
