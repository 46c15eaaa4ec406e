using Megaphone.Metrics;
using Megaphone.Protocol;

namespace Megaphone.Links;

/// <content>How a link begins: TLS, then the packet that decides what it will be, and how long it has for both.</content>
internal sealed partial class Link
{
    private void StartHandshakeTimer(TimeSpan welcomeTimeout)
    {
        if (_tls is null && (_accepted ? _options.Secret is null : _phase == LinkPhase.Up)) return;
        TimeSpan timeout = _accepted ? HelloTimeout : welcomeTimeout;
        _handshakeTimer = new Timer(_ => TooLate(timeout), null, timeout, Timeout.InfiniteTimeSpan);
    }

    private void TooLate(TimeSpan timeout)
    {
        string within = $"within {timeout.TotalSeconds:0.###} s";
        if (_tls is not null && !_tlsDone)
        {
            _metrics.AddRefused(RefusalReason.Tls);
            Close($"no TLS handshake {within}");
        }
        else if (_helloTimer is not null && _phase == LinkPhase.AwaitingFirstPacket)
        {
            Close($"its hello came late, and after wrong secrets from its address could not be looked at {within}");
        }
        else if (_phase == LinkPhase.AwaitingFirstPacket && (_refusal is not null || _options.Secret is not null))
        {
            Close(_refusal ?? $"no hello {within}, and here a secret is wanted");
        }
        else if (_phase == LinkPhase.AwaitingWelcome)
        {
            Close($"no answer to hello {within}; if the other side speaks only the plain protocol, set Ecm:Link:Control false");
        }
    }

    /// <summary>Does the TLS handshake. Nothing has been said on the link before it.</summary>
    /// <returns>Why the link is over; null when it goes on, were it only to be refused.</returns>
    private async Task<ReceiveEnd?> SecureAsync(LinkTls tls)
    {
        TlsHandshakeResult result = await tls.SecureAsync(_socket).ConfigureAwait(false);
        _secured = result.Secured;
        _refusal = result.Refusal;
        _tlsDone = true;
        if ((result.Refusal ?? result.Failure) is not null && !result.Abandoned && !_closed)
        {
            // A connector tells failures itself, and not each time.
            if (_accepted) _offence = LinkLine.TlsRefused;
            _metrics.AddRefused(RefusalReason.Tls);
        }

        if (result.Failure is not null) return new ReceiveEnd(result.Failure);
        if (result.Refusal is not null) _receiver.AcceptUpTo(LinkReceiver.LongestHello);
        else if (_accepted && _options.Secret is null) _handshakeTimer?.Dispose();
        return null;
    }

    /// <summary>Begins to speak, where this end is the one to begin.</summary>
    private void Begin()
    {
        if (_phase == LinkPhase.Up)
        {
            BringUp(name: null, _options.MaxPacketBytes, _options.KeepAlive);
        }
        else if (_phase == LinkPhase.AwaitingWelcome)
        {
            StartSender();
            SendControl(ControlMessage.Hello(_options.Name, _options.Secret, _options.Framing, _options.MaxPacketBytes));
        }
    }

    /// <summary>
    /// Holds back a <c>hello</c> whose secret may not be looked at yet, because wrong ones came from its address. Nothing more is read
    /// from the link meanwhile.
    /// </summary>
    /// <returns>What becomes of the packet for now; null: it may be looked at.</returns>
    private PacketVerdict? HoldBack(ulong id)
    {
        if (_admission is null || _options.Secret is null || id != PacketHeader.ControlId || _refusal is not null) return null;
        _replyRoom.Remember();
        if (_helloTimer is not null) return _closed ? PacketVerdict.Close : _helloIsDue ? null : PacketVerdict.NoRoom;
        if (!_admission.WrongSecrets.TryTakeTurn(Address, out TimeSpan wait))
        {
            Refuse("too many wrong secrets from this address; try again later");
            return PacketVerdict.Close;
        }

        if (wait == TimeSpan.Zero) return null;
        _helloTimer = new Timer(_ => AllowHello(), null, wait, Timeout.InfiniteTimeSpan);
        return PacketVerdict.NoRoom;
    }

    private void AllowHello()
    {
        _helloIsDue = true;
        _replyRoom.Signal();
    }

    /// <summary>Takes the packet that decides what the link will be.</summary>
    private bool TakeFirst(ulong id, ReadOnlySpan<byte> content)
    {
        bool welcome = _phase == LinkPhase.AwaitingWelcome;
        HandshakeResult result = welcome ? Handshake.OnAnswer(id, content) : Handshake.OnFirstPacket(id, content, _options, _refusal);
        if (result.Ignored > 0) _metrics.AddControlIgnored(result.Ignored);
        switch (result.Outcome)
        {
            case HandshakeOutcome.Up:
                StartSender();
                HasControl = result.Control;
                if (HasControl && !welcome) SendControl(ControlMessage.Welcome(_options.Name, _options.MaxPacketBytes, _options.KeepAlive));
                BringUp(result.Name, result.MaxPacket ?? _options.MaxPacketBytes, result.KeepAlive ?? _options.KeepAlive);
                return true;
            case HandshakeOutcome.Refuse:
                if (result.WrongSecret) _admission?.WrongSecrets.Add(Address, hadWaited: _helloTimer is not null);
                return Refuse(result.Reason);
            case HandshakeOutcome.Breach:
                if (result.Unauthorized) _metrics.AddRefused(RefusalReason.Hello);
                return Breach(result.Reason);
            default:
                return End(result.Reason);
        }
    }

    /// <summary>Refuses the <c>hello</c>: counted, told once, and the link ends behind the answer.</summary>
    private bool Refuse(string reason)
    {
        _lastWords = Packet(ControlMessage.Refuse(reason));
        if (_refusal is null) _metrics.AddRefused(RefusalReason.Hello);
        _offence = _refusal is null ? LinkLine.HelloRefused : LinkLine.TlsRefused;
        return End($"its hello was refused: {reason}");
    }

    /// <summary>Sends a <c>refuse</c> as the only thing that is ever sent here: whoever is refused is not worth a sender's thread.</summary>
    private async Task SayLastWordsAsync(byte[] packet)
    {
        try
        {
            // Nothing was sent before it, so that the kernel has room for all of it.
            if (_secured is null) DirectSend.Send(_socket.SafeHandle, packet, [], out _);
            else await _secured.SendAsync(packet, TimeSpan.FromMilliseconds(LingerMilliseconds)).ConfigureAwait(false);
            _metrics.AddOut(1, packet.Length);
        }
        catch (Exception error) when (error is IOException or InvalidOperationException or TimeoutException)
        {
            // The other end is gone, or does not read.
        }
    }

    private static byte[] Packet(ControlMessage message)
    {
        byte[] content = message.ToUtf8();
        byte[] packet = new byte[PacketHeader.Size + content.Length];
        PacketHeader.Write(packet, packet.Length, PacketHeader.ControlId);
        content.CopyTo(packet, PacketHeader.Size);
        return packet;
    }

    private void BringUp(string? name, int peerMaxPacket, TimeSpan keepAlive)
    {
        StartSender();
        _receiver.AcceptUpTo(_options.MaxPacketBytes);

        // What a ring can never give must not be asked of it: nobody would be told of room that never comes.
        MaxContent = Math.Clamp(peerMaxPacket - PacketHeader.Size, 1, Math.Min(LargestContent, _options.RingBytes / 4));
        PeerMaxContent = peerMaxPacket - PacketHeader.Size;
        _phase = LinkPhase.Up;
        WasUp = true;
        _admission?.Silent.Remove(this);
        string kind = HasControl ? "control" : "plain";
        if (MayLog(LinkLine.Up)) _log.Up(Peer, name ?? "no name", _secured is null ? kind : $"{kind} over {_secured.Version}", peerMaxPacket);
        _handshakeTimer?.Dispose();
        if (HasControl) _signsOfLife.Watch(keepAlive);
        _handler.Up(this);

        // Counted when it can be used: whoever looks at the count, as readiness does, brings clients next.
        _metrics.LinkUp();
    }

    /// <summary>Who has not said the secret yet gets no more memory than a hello takes.</summary>
    private static int FirstLimit(LinkPhase phase, LinkOptions options) =>
        phase == LinkPhase.AwaitingFirstPacket && options.Secret is not null
            ? Math.Min(options.MaxPacketBytes, LinkReceiver.LongestHello)
            : options.MaxPacketBytes;
}
