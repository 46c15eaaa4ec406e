using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>How a turn of a connection with TLS came out.</summary>
internal struct TlsInputResult
{
    /// <summary>How the last step came out.</summary>
    public TlsStatus Status;

    /// <summary>Bytes of data, whatever the status.</summary>
    public int Count;

    /// <summary>With <see cref="TlsStatus.Broken"/>: the error.</summary>
    public int Errno;

    /// <summary>There is more to open or to deliver that the kernel will not report.</summary>
    public bool IsIncomplete;

    /// <summary>The kernel may hold more that it has reported already: what was received filled the room for it, or nothing was received.</summary>
    public bool MayBeMore;

    /// <summary>The peer has asked for key updates of ours.</summary>
    public bool WantsKeyUpdate;

    /// <summary>What waits to be sent has waited for input: OpenSSL.</summary>
    public bool MustFlush;

    /// <summary>With <see cref="TlsStatus.Ended"/>: the peer has ended both directions.</summary>
    public bool EndsBoth;
}
