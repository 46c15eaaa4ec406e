using System.Runtime.InteropServices;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>What a connection with TLS has beside its slot: 24 bytes. The gate guards the session; the rest is the reactor's alone.</summary>
/// <param name="session">Its TLS, which it owns.</param>
internal unsafe struct SecuredState(TlsSession session)
{
    /// <summary>Its TLS.</summary>
    public readonly TlsSession Session = session;

    /// <summary>What has been received and not been opened, <see cref="KeptBytes"/> of it, in memory of its own; null: nothing.</summary>
    private byte* _kept;

    /// <summary>Bytes that are kept.</summary>
    public int KeptBytes { get; private set; }

    /// <summary>Records without data since the last one that had some.</summary>
    public int RecordsWithoutData;

    /// <summary>Keeps a copy of what is not opened now. Nothing must be kept yet.</summary>
    public void Keep(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return;
        _kept = (byte*)NativeMemory.Alloc((nuint)bytes.Length);
        KeptBytes = bytes.Length;
        bytes.CopyTo(new Span<byte>(_kept, KeptBytes));
    }

    /// <summary>Gives back what is kept.</summary>
    /// <param name="into">Large enough for it.</param>
    public void TakeKept(Span<byte> into)
    {
        if (KeptBytes == 0) return;
        new ReadOnlySpan<byte>(_kept, KeptBytes).CopyTo(into);
        FreeKept();
    }

    /// <summary>Frees the native memory, the session included.</summary>
    public void Free()
    {
        FreeKept();
        Session.Free();
    }

    private void FreeKept()
    {
        NativeMemory.Free(_kept);
        _kept = null;
        KeptBytes = 0;
    }
}
