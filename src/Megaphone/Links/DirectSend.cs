using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Megaphone.Links;

/// <summary>Sends on a socket, without waiting, by the system call itself.</summary>
/// <remarks>
/// <see cref="Socket.Send(ReadOnlySpan{byte})"/> lays a dozen methods around that call, some 200 instructions, and wants a list of segments
/// for what lies in two places.
/// </remarks>
internal static unsafe partial class DirectSend
{
    private const int MsgDontWait = 0x40;
    private const int MsgNoSignal = 0x4000;
    private const int Interrupted = 4;
    private const int TryAgain = 11;

    /// <summary>Sends what the kernel takes at once, in one call. Thread-safe.</summary>
    /// <param name="socket">Connected, or closed meanwhile.</param>
    /// <param name="first">What goes first; not empty.</param>
    /// <param name="second">What follows it, from another place; may be empty.</param>
    /// <param name="failure">What is wrong with the socket, in words; else null.</param>
    /// <returns>Bytes that were taken; 0 when the kernel takes none now, and with a <paramref name="failure"/>.</returns>
    public static int Send(SafeSocketHandle socket, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, out string? failure)
    {
        try
        {
            fixed (byte* start = first, rest = second)
            {
                while (true)
                {
                    nint sent = second.IsEmpty
                        ? Send(socket, start, (nuint)first.Length, MsgDontWait | MsgNoSignal)
                        : SendBoth(socket, new Part(start, first.Length), new Part(rest, second.Length));
                    int errno = sent < 0 ? Marshal.GetLastPInvokeError() : 0;
                    if (errno == Interrupted) continue;
                    failure = errno is 0 or TryAgain ? null : Marshal.GetPInvokeErrorMessage(errno);
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

    private static nint SendBoth(SafeSocketHandle socket, Part first, Part second)
    {
        Part* parts = stackalloc Part[] { first, second };
        Message message = new() { Parts = parts, Count = 2 };
        return Send(socket, &message, MsgDontWait | MsgNoSignal);
    }

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint Send(SafeSocketHandle socket, byte* bytes, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint Send(SafeSocketHandle socket, Message* message, int flags);

    /// <summary>struct iovec.</summary>
    private readonly struct Part(byte* start, int length)
    {
        public readonly byte* Start = start;
        public readonly nuint Length = (nuint)length;
    }

    /// <summary>struct msghdr, of which only the parts are used.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 56)]
    private struct Message
    {
        [FieldOffset(16)]
        public Part* Parts;

        [FieldOffset(24)]
        public nuint Count;
    }
}
