using System.Net.Sockets;
using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Links;

/// <summary>Sends on a socket, without blocking, by the system call itself.</summary>
/// <remarks>
/// <see cref="Socket.Send(ReadOnlySpan{byte})"/> wraps that call in a dozen methods, some 200 instructions, and needs a list of segments
/// for data in two places.
/// </remarks>
internal static unsafe class DirectSend
{
    /// <summary>Sends what the kernel accepts at once, in one call. Thread-safe.</summary>
    /// <param name="socket">Connected, or closed meanwhile.</param>
    /// <param name="first">Sent first; not empty.</param>
    /// <param name="second">Sent after it; may be empty.</param>
    /// <param name="failure">Why the socket failed; else null.</param>
    /// <returns>Bytes that were sent; 0 when the kernel accepts none now, and with a <paramref name="failure"/>.</returns>
    public static int Send(SafeSocketHandle socket, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, out string? failure)
    {
        try
        {
            fixed (byte* start = first, rest = second)
            {
                while (true)
                {
                    nint sent = second.IsEmpty
                        ? Libc.Send(socket, start, (nuint)first.Length, Libc.MsgDontWait | Libc.MsgNoSignal)
                        : SendBoth(socket, new MessageHeader.Part(start, first.Length), new MessageHeader.Part(rest, second.Length));
                    int errno = sent < 0 ? Marshal.GetLastPInvokeError() : 0;
                    if (errno == Errno.Interrupted) continue;
                    failure = errno is 0 or Errno.TryAgain ? null : Marshal.GetPInvokeErrorMessage(errno);
                    return (int)Math.Max(0, sent);
                }
            }
        }
        catch (ObjectDisposedException)
        {
            failure = "closed";
            return 0;
        }
    }

    private static nint SendBoth(SafeSocketHandle socket, MessageHeader.Part first, MessageHeader.Part second)
    {
        MessageHeader.Part* parts = stackalloc MessageHeader.Part[] { first, second };
        MessageHeader message = new() { Parts = parts, Count = 2 };
        return Libc.Send(socket, &message, Libc.MsgDontWait | Libc.MsgNoSignal);
    }
}
