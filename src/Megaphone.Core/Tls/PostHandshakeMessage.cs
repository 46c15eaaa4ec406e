namespace Megaphone.Tls;

/// <summary>
/// The handshake message of TLS 1.3 that is coming (RFC 8446, section 4.6), which may be cut over several records. Four bytes: of what may
/// come here nothing longer has to be kept.
/// </summary>
internal struct PostHandshakeMessage
{
    private const int HeaderBytes = 4;
    private const byte NewSessionTicket = 4;
    private const byte KeyUpdate = 24;
    private const byte UpdateNotRequested = 0;
    private const byte UpdateRequested = 1;

    private const int LengthBits = 24;
    private const int CountBits = 3;

    /// <summary>
    /// From the top: the type, which has five bits where it may come at all; how many bytes of the header have come; the length, which counts down
    /// once the header is whole.
    /// </summary>
    private uint _state;

    /// <summary>Whether a message has begun and not ended: no record of another type may come (RFC 8446, section 5.1).</summary>
    public readonly bool HasBegun => HeaderCount > 0;

    private readonly byte Type => (byte)(_state >> (LengthBits + CountBits));

    private readonly int HeaderCount => (int)(_state >> LengthBits) & ((1 << CountBits) - 1);

    private readonly int BytesToCome => (int)_state & ((1 << LengthBits) - 1);

    /// <summary>Reads what a record holds.</summary>
    /// <param name="content">Its content.</param>
    /// <param name="isServer">Who reads: only a client gets tickets, which are passed over.</param>
    /// <returns>What the last message that ended wants, or the alert.</returns>
    public Result Read(ReadOnlySpan<byte> content, bool isServer)
    {
        // "Implementations MUST NOT send zero-length fragments of Handshake types" (section 5.1; the alert is section 5.4's).
        if (content.IsEmpty) return Result.Fault(TlsAlert.UnexpectedMessage);
        while (!content.IsEmpty)
        {
            if (HeaderCount < HeaderBytes)
            {
                if (ReadHeader(content[0], isServer) is { } alert) return Result.Fault(alert);
                content = content[1..];
            }
            else if (Type == KeyUpdate)
            {
                return ReadKeyUpdate(content);
            }
            else
            {
                int skipped = Math.Min(content.Length, BytesToCome);
                _state -= (uint)skipped;
                content = content[skipped..];
            }

            if (HeaderCount == HeaderBytes && BytesToCome == 0) this = default;
        }

        return default;
    }

    private TlsAlert? ReadHeader(byte next, bool isServer)
    {
        if (HeaderCount == 0)
        {
            // Nothing else is sent to who has not offered post_handshake_auth (section 4.6.2).
            if (next != KeyUpdate && (isServer || next != NewSessionTicket)) return TlsAlert.UnexpectedMessage;
            _state = (uint)next << (LengthBits + CountBits);
        }
        else
        {
            _state |= (uint)next << (LengthBits - (8 * HeaderCount));
        }

        _state += 1 << LengthBits;
        return HeaderCount == HeaderBytes && Type == KeyUpdate && BytesToCome != 1 ? TlsAlert.DecodeError : null;
    }

    /// <summary>
    /// The key that this record had is replaced behind the message, so nothing may be behind it: "all messages immediately preceding a key change
    /// align with a record boundary" (section 5.1).
    /// </summary>
    private Result ReadKeyUpdate(ReadOnlySpan<byte> content)
    {
        this = default;
        if (content[0] is not (UpdateNotRequested or UpdateRequested)) return Result.Fault(TlsAlert.IllegalParameter);
        if (content.Length > 1) return Result.Fault(TlsAlert.UnexpectedMessage);
        return new Result { UpdatesKey = true, AsksForKeyUpdate = content[0] == UpdateRequested };
    }

    /// <summary>What a record with handshake messages wants.</summary>
    public readonly record struct Result
    {
        /// <summary>The peer's next record has its next key.</summary>
        public bool UpdatesKey { get; init; }

        /// <summary>The peer wants the same of us.</summary>
        public bool AsksForKeyUpdate { get; init; }

        /// <summary>Why the connection ends; null: it goes on.</summary>
        public TlsAlert? Alert { get; private init; }

        public static Result Fault(TlsAlert alert) => new() { Alert = alert };
    }
}
