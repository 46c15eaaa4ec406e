using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Tls;

/// <summary>How OpenSSL reaches a client: a BIO that writes to the socket, and reads from it until the handshake is done.</summary>
/// <remarks>
/// <para>OpenSSL would read for as long as records without data keep coming. After <see cref="ReadOffersOnly"/> it gets one record at a
/// time, the one that the calling thread offers, and then is told that there is no more for now.</para>
/// <para>An offer belongs to its thread: another one that sends on a session in the meantime, for which OpenSSL may want to read,
/// is told that nothing has come.</para>
/// </remarks>
internal static unsafe class TlsTransport
{
    /// <summary>Set beside the descriptor in what a BIO knows: it reads offers only.</summary>
    private const long OffersOnly = 1L << 32;

    private static readonly nint Method = MakeMethod();

    [ThreadStatic]
    private static byte* _offer;

    [ThreadStatic]
    private static int _offered;

    /// <summary>Gives a new session its socket, which is non-blocking and stays the caller's.</summary>
    /// <returns>False when there is no memory.</returns>
    public static bool TryConnect(nint ssl, int descriptor)
    {
        nint bio = OpenSsl.NewBio(Method);
        if (bio == 0) return false;
        OpenSsl.SetBioData(bio, descriptor);
        OpenSsl.SetBioReady(bio, 1);
        OpenSsl.SetBios(ssl, bio, bio);
        return true;
    }

    /// <summary>From now on a session reads nothing but what is offered. It holds nothing unread.</summary>
    public static void ReadOffersOnly(nint ssl)
    {
        nint bio = OpenSsl.ReadBio(ssl);
        OpenSsl.SetBioData(bio, (nint)(OpenSsl.BioData(bio) | OffersOnly));
    }

    /// <summary>
    /// Offers bytes to the session that this thread calls next, which reads offers only. They must not move before <see cref="Withdraw"/>.
    /// </summary>
    public static void Offer(byte* bytes, int count)
    {
        _offer = bytes;
        _offered = count;
    }

    /// <summary>Takes back what was offered and not read.</summary>
    /// <returns>How many bytes that is.</returns>
    public static int Withdraw()
    {
        int left = _offered;
        Offer(null, 0);
        return left;
    }

    private static nint MakeMethod()
    {
        nint method = OpenSsl.NewBioMethod(OpenSsl.BioSourceOrSink, "client");
        _ = OpenSsl.SetBioRead(method, &Read);
        _ = OpenSsl.SetBioWrite(method, &Write);
        _ = OpenSsl.SetBioControl(method, &Control);
        return method;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Read(nint bio, byte* into, int count)
    {
        OpenSsl.ClearBioFlags(bio, OpenSsl.BioRetryFlags);
        nint data = OpenSsl.BioData(bio);
        if ((data & OffersOnly) == 0)
            return Finish(bio, Libc.Receive((int)data, into, (nuint)count, Libc.MsgDontWait), OpenSsl.BioRetryRead);

        int taken = Math.Min(count, _offered);
        if (taken == 0)
        {
            OpenSsl.SetBioFlags(bio, OpenSsl.BioRetryRead);
            return -1;
        }

        new ReadOnlySpan<byte>(_offer, taken).CopyTo(new Span<byte>(into, taken));
        Offer(_offer + taken, _offered - taken);
        return taken;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Write(nint bio, byte* bytes, int count)
    {
        OpenSsl.ClearBioFlags(bio, OpenSsl.BioRetryFlags);
        nint sent = Libc.Send((int)OpenSsl.BioData(bio), bytes, (nuint)count, Libc.MsgDontWait | Libc.MsgNoSignal);
        if (sent > 0) HandshakeSecrets.NoteSent(new ReadOnlySpan<byte>(bytes, (int)sent));
        return Finish(bio, sent, OpenSsl.BioRetryWrite);
    }

    /// <summary>Tells OpenSSL what a system call said: a result, that it may try again, or an error, which is left in errno.</summary>
    private static int Finish(nint bio, nint result, int retry)
    {
        if (result >= 0) return (int)result;
        int errno = Marshal.GetLastPInvokeError();
        if (errno is Errno.TryAgain or Errno.Interrupted) OpenSsl.SetBioFlags(bio, retry);
        Marshal.SetLastSystemError(errno);
        return -1;
    }

    /// <summary>Nothing is buffered here, so there is nothing to flush; the end of input is found by its reader.</summary>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint Control(nint bio, int command, nint number, void* pointer) =>
        command == OpenSsl.BioControlFlush ? 1 : 0;
}
