using System.Net;
using System.Net.Sockets;

namespace Megaphone.Attacks;

/// <summary>A TCP connection of an attacker. It never waits longer than it is told to, and knows when the other end has closed it.</summary>
/// <remarks>For one thread at a time.</remarks>
internal sealed class AttackSocket : IDisposable
{
    private readonly byte[] _received = new byte[64 << 10];
    private readonly Socket _socket;

    /// <summary>Takes ownership of a connected socket.</summary>
    public AttackSocket(Socket socket)
    {
        _socket = socket;
        socket.Blocking = false;
        socket.NoDelay = true;
    }

    /// <summary>Bytes received so far.</summary>
    public long BytesReceived { get; private set; }

    /// <summary>Whether the other end has ended or reset the connection.</summary>
    public bool IsEnded { get; private set; }

    /// <summary>Connects.</summary>
    /// <param name="to">The address to connect to.</param>
    /// <param name="from">The address to come from.</param>
    /// <param name="end">When to give up.</param>
    /// <returns>Null when it is refused, or it is time to give up.</returns>
    public static AttackSocket? Connect(IPEndPoint to, IPAddress from, CancellationToken end)
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(from, 0));
            using CancellationTokenRegistration giveUp = end.Register(socket.Dispose);
            socket.Connect(to);
            return new AttackSocket(socket);
        }
        catch (Exception refused) when (refused is SocketException or ObjectDisposedException)
        {
            socket.Dispose();
            return null;
        }
    }

    /// <summary>Sends until everything is sent, the connection is ended, or it is time to stop.</summary>
    /// <param name="bytes">The bytes to send.</param>
    /// <param name="reads">Whether what arrives meanwhile is read, and discarded.</param>
    /// <param name="end">When to stop.</param>
    /// <returns>Bytes that the kernel took.</returns>
    public int Send(ReadOnlySpan<byte> bytes, bool reads, CancellationToken end)
    {
        int sent = 0;
        while (sent < bytes.Length && !IsEnded && !end.IsCancellationRequested)
        {
            if (reads) Drain();
            int taken = _socket.Send(bytes[sent..], SocketFlags.None, out SocketError error);
            if (error == SocketError.Success) sent += taken;
            else if (error == SocketError.WouldBlock) Wait(SelectMode.SelectWrite, reads);
            else IsEnded = true;
        }

        return sent;
    }

    /// <summary>Reads and discards what has arrived.</summary>
    /// <returns>How many bytes were read.</returns>
    public int Drain()
    {
        int all = 0;
        while (TryReceive() is > 0 and int read) all += read;
        return all;
    }

    /// <summary>Reads until the other end has ended the connection, or what has arrived is enough.</summary>
    /// <param name="isEnough">Judges all that has arrived; null: only the end is enough.</param>
    /// <param name="within">The longest time to wait.</param>
    /// <param name="end">When to stop in any case.</param>
    /// <returns>All that has arrived.</returns>
    public byte[] Receive(Func<byte[], bool>? isEnough, TimeSpan within, CancellationToken end)
    {
        using MemoryStream all = new();
        long until = Environment.TickCount64 + (long)within.TotalMilliseconds;
        while (!IsEnded && !end.IsCancellationRequested && Environment.TickCount64 < until)
        {
            int read = TryReceive();
            if (read > 0)
            {
                all.Write(_received, 0, read);
                if (isEnough?.Invoke(all.ToArray()) == true) break;
            }
            else if (!IsEnded)
            {
                _socket.Poll(2_000, SelectMode.SelectRead);
            }
        }

        return all.ToArray();
    }

    /// <summary>Holds the connection until the other end has ended it, or it is time to stop.</summary>
    public void Hold(bool reads, CancellationToken end)
    {
        while (!IsEnded && !end.WaitHandle.WaitOne(5))
        {
            if (reads || _socket.Poll(0, SelectMode.SelectError)) Drain();
        }
    }

    /// <summary>Closes those that the other end has ended, and takes them out of the list.</summary>
    public static void CloseEnded(List<AttackSocket> sockets)
    {
        foreach (AttackSocket ended in sockets.Where(socket => socket.Drain() == 0 && socket.IsEnded).ToList())
        {
            ended.Dispose();
            sockets.Remove(ended);
        }
    }

    /// <summary>Resets the connection, which leaves nothing behind.</summary>
    public void Dispose() => _socket.Close(0);

    /// <returns>Bytes received; 0 or less: none.</returns>
    private int TryReceive()
    {
        int read = _socket.Receive(_received, SocketFlags.None, out SocketError error);
        if (error == SocketError.WouldBlock) return 0;
        if (error != SocketError.Success || read == 0) IsEnded = true;
        BytesReceived += read;
        return read;
    }

    private void Wait(SelectMode mode, bool reads)
    {
        // Whoever reads must not wait for room alone: the other end may wait for its own to be taken.
        _socket.Poll(reads ? 1_000 : 10_000, mode);
    }
}
