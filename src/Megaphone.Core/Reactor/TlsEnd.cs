using Megaphone.Interop;
using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>Ends TLS on a socket that is about to be closed.</summary>
internal static unsafe class TlsEnd
{
    /// <summary>
    /// Sends <c>close_notify</c>, unless our direction has ended. Nothing must wait to be sent. What the kernel does not take of it is lost.
    /// </summary>
    public static void Send(int descriptor, ref TlsConnectionState tls)
    {
        if (tls.WriteEnded) return;
        Span<byte> room = stackalloc byte[TlsRecordWriter.MaxEndBytes];
        ReadOnlySpan<byte> record = TlsRecordWriter.SealEnd(ref tls, TlsAlert.CloseNotify, room);
        fixed (byte* start = record) _ = Libc.Send(descriptor, start, (nuint)record.Length, Libc.MsgDontWait | Libc.MsgNoSignal);
    }
}
