using Megaphone.Interop;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>What a client that a limit keeps out is told before its socket is closed, as far as its protocol can say anything first.</summary>
internal static unsafe class TurnedAway
{
    /// <summary>A fatal alert of TLS, <c>access_denied</c> (RFC 8446, section 6.2), in the clear, as all is before a handshake.</summary>
    private static ReadOnlySpan<byte> AccessDenied => [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x31];

    /// <summary>Tells it, as far as its socket takes that at once.</summary>
    /// <param name="descriptor">Its socket.</param>
    /// <param name="listener">Where it has connected.</param>
    public static void Tell(int descriptor, ClientListenerOptions listener)
    {
        ReadOnlySpan<byte> last = listener switch
        {
            { Tls: ClientTls.Direct } => AccessDenied,
            { Framing: ClientFraming.Stanza } => StreamError(),
            { Framing: ClientFraming.Web } => HttpAnswer.TooManyRequests,
            _ => default,
        };
        if (last.IsEmpty) return;
        fixed (byte* start = last) _ = Libc.Send(descriptor, start, (nuint)last.Length, Libc.MsgDontWait | Libc.MsgNoSignal);
    }

    /// <summary>RFC 6120, section 4.9.1.2: the stream is opened for the error.</summary>
    private static byte[] StreamError() =>
    [
        .. StreamErrorText.NewHeader(),
        .. StreamErrorText.ErrorAndEnd(StreamCondition.PolicyViolation),
    ];
}
