using Megaphone.Reactor;
using Megaphone.Tls;
using Megaphone.Web;

namespace Megaphone.Ecm;

/// <summary>Gathers text frames for one client, and sends as many of them together as fit one TLS record.</summary>
/// <remarks>
/// A record is sent in one hold of the client's gate, so what another thread sends comes between two frames. A message that is longer is
/// sent in fragments for that reason (RFC 6455, section 5.4). On the stack of the thread that uses it.
/// </remarks>
internal ref struct FrameBatch(ReactorGroup<EcmClient> clients, ConnectionId id, int owner)
{
    [ThreadStatic]
    private static byte[]? _buffer;

    private readonly Span<byte> _room = _buffer ??= new byte[SecurityParameters.MaxContentBytes];
    private int _used;
    private bool _isRefused;

    /// <summary>Adds a message, in three parts.</summary>
    public void Add(scoped ReadOnlySpan<byte> first, scoped ReadOnlySpan<byte> second, scoped ReadOnlySpan<byte> third)
    {
        Opcode opcode = Opcode.Text;
        int length = first.Length + second.Length + third.Length, done = 0;
        do
        {
            int size = Math.Min(length - done, _room.Length - WebSocketFrame.MaxHeaderBytes), end = done + size;
            if (_used + WebSocketFrame.MaxHeaderBytes + size > _room.Length) Send(moreFollows: opcode == Opcode.Continuation);
            _used += WebSocketFrame.WriteHeader(_room[_used..], opcode, isFinal: end == length, size);
            done += Take(first, done, end - done);
            done += Take(second, done - first.Length, end - done);
            done += Take(third, done - first.Length - second.Length, end - done);
            opcode = Opcode.Continuation;
        }
        while (done < length);
    }

    /// <summary>Sends what has been gathered and not been sent yet.</summary>
    /// <returns>False when the client takes nothing more.</returns>
    public bool Flush()
    {
        Send(moreFollows: false);
        return !_isRefused;
    }

    private int Take(scoped ReadOnlySpan<byte> part, int from, int most)
    {
        int count = Math.Min(part.Length - from, most);
        if (count <= 0) return 0;
        part.Slice(from, count).CopyTo(_room[_used..]);
        _used += count;
        return count;
    }

    private void Send(bool moreFollows)
    {
        if (_used > 0) _isRefused |= !clients.Send(id, owner, _room[.._used], moreFollows);
        _used = 0;
    }
}
