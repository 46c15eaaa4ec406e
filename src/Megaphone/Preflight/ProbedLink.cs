using System.Net.Sockets;
using Megaphone.Links;
using Megaphone.Protocol;

namespace Megaphone.Preflight;

/// <summary>The connection over which a <see cref="LinkProbe"/> asks: sends and receives control packets, one after the other.</summary>
/// <param name="socket">Connected; its owner closes it.</param>
/// <param name="secured">TLS over it; null: none.</param>
internal sealed class ProbedLink(Socket socket, SecuredSocket? secured)
{
    /// <summary>How long the other end may take to end as well.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);

    private readonly byte[] _received = new byte[PacketHeader.Size + ControlMessage.MaxBytes];
    private PacketSplitter _splitter = new(PacketHeader.Size + ControlMessage.MaxBytes);
    private int _from;
    private int _to;

    /// <summary>What is wrong with what has come; null: nothing.</summary>
    public PacketFault? Fault => _splitter.Fault;

    /// <summary>The id of the last packet.</summary>
    public ulong Id { get; private set; }

    /// <summary>The content of the last packet, until the next is received.</summary>
    public ReadOnlyMemory<byte> Content { get; private set; }

    /// <summary>Sends a message.</summary>
    public Task SendAsync(ControlMessage message) =>
        secured is null ? socket.SendAsync(message.ToPacket()) : secured.SendAsync(message.ToPacket(), TargetProbe.LongestWait);

    /// <summary>Receives the next packet.</summary>
    /// <returns>False when none comes any more.</returns>
    public async Task<bool> ReceiveAsync()
    {
        while (true)
        {
            switch (_splitter.Next(_received.AsSpan(_from.._to), out PacketHeader header))
            {
                case PacketSplitter.Result.Malformed:
                    return false;
                case PacketSplitter.Result.Packet:
                    Id = header.ConnectionId;
                    Content = _received.AsMemory(_from..(_from + header.Length))[PacketHeader.Size..];
                    _from += header.Length;
                    return true;
            }

            _received.AsSpan(_from.._to).CopyTo(_received);
            (_from, _to) = (0, _to - _from);
            Memory<byte> room = _received.AsMemory(_to);
            int count = secured is null ? await socket.ReceiveAsync(room, SocketFlags.None) : await secured.ReceiveAsync(room);
            if (count == 0) return false;
            _to += count;
        }
    }

    /// <summary>Ends the link for good (section 7 of the link protocol), and waits a little for the other end to do so as well.</summary>
    /// <returns>Whether that has said meanwhile that it drains.</returns>
    public async Task<bool> EndAsync(string reason)
    {
        await SendAsync(ControlMessage.Close(reason));
        Task<bool> rest = ReceiveRestAsync();
        if (secured is not null) await secured.EndSendingAsync(Linger);
        LinkSocket.EndSending(socket);
        return await Task.WhenAny(rest, Task.Delay(Linger)) == rest && await rest;
    }

    private async Task<bool> ReceiveRestAsync()
    {
        bool isDraining = false;
        try
        {
            while (await ReceiveAsync())
                isDraining |= ControlReader.TryRead(Content.Span, out ControlMessage? message, out _) && message.Op == ControlOp.Drain;
        }
        catch (Exception error) when (error is SocketException or IOException or ObjectDisposedException)
        {
            // It ends in its own way.
        }

        return isDraining;
    }
}
