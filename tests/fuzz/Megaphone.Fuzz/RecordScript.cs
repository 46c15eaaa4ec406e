using Megaphone.Tls;

namespace Megaphone.Fuzz;

/// <summary>
/// A peer that has the right keys, and does with them what an input says. An input begins with the suite and the lengths of the parts in
/// which the records arrive; they are followed by steps, each a letter and what belongs to it. A length is one byte.
/// </summary>
/// <remarks>
/// <code>
/// input = suite *part LF *step
/// suite = "0" / "1" / "2"                 ; TLS 1.3 with AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305
///       / "3" / "4" / "5"                 ; TLS 1.2 with the same
/// part  = a byte                          ; as CutStream has it
/// step  = "d" length content              ; data
///       / "t" type length content         ; a record of any type
///       / "p" type zeros length content   ; the same, with so many zeros as padding in TLS 1.3
///       / "l" two bytes                   ; data of this length
///       / "k" / "K"                       ; a key update; one that asks for another
///       / "a" level description           ; an alert
///       / "e"                             ; close_notify
///       / "u"                             ; the next key is used without a key update
///       / "r" length bytes                ; bytes that nobody sealed
///       / "x" two bytes mask              ; a byte is changed, counted from the end of what was sent
///       / "c" length                      ; so many bytes are lost at the end of what was sent
///       / "D"                             ; the last record is sent again
/// </code>
/// Any other byte is no step, and what is missing at the end is zero.
/// </remarks>
internal sealed class RecordScript
{
    /// <summary>How many suites there are.</summary>
    public const int Suites = 6;

    private const int Algorithms = 3;
    private const int LengthBound = SecurityParameters.MaxContentBytes + 300;

    private readonly byte[] _steps;
    private readonly List<byte> _stream = [];

    /// <summary>All that was sealed.</summary>
    private readonly List<byte> _sealed = [];

    private readonly List<SealedRecord> _records = [];
    private byte[] _last = [];
    private bool _isOutOfStep;
    private int _at;

    private RecordScript(byte[] steps) => _steps = steps;

    /// <summary>The suite, from 0 on, of an input.</summary>
    public static int SuiteOf(byte[] input) => input.Length == 0 ? 0 : (byte)(input[0] - '0') % Suites;

    public static bool IsTls13(int suite) => suite < Algorithms;

    public static AeadAlgorithm AlgorithmOf(int suite) => (AeadAlgorithm)((int)AeadAlgorithm.Aes128Gcm + suite % Algorithms);

    /// <summary>Plays an input.</summary>
    /// <param name="input">Any bytes.</param>
    /// <param name="peer">The peer's state, of which the writer's direction is used.</param>
    /// <returns>What arrives.</returns>
    public static ArrivedRecords Play(byte[] input, ref TlsConnectionState peer)
    {
        CutStream parts = CutStream.Parse(input.Length == 0 ? input : input[1..]);
        RecordScript script = new(parts.Bytes);
        while (script._at < script._steps.Length) script.Step(ref peer);
        int intact = script._stream.Zip(script._sealed).TakeWhile(pair => pair.First == pair.Second).Count();
        return new ArrivedRecords([.. script._stream], parts.Lengths, [.. script._records.TakeWhile(record => record.End <= intact)])
        {
            IsOutOfStep = script._isOutOfStep,
        };
    }

    private void Step(ref TlsConnectionState peer)
    {
        byte step = Next();
        switch ((char)step)
        {
            case 'd':
                Seal(ref peer, TlsContentType.ApplicationData, Take(Next()));
                break;
            case 't':
                SealAny(ref peer, (TlsContentType)Next(), zeros: 0);
                break;
            case 'p':
                SealAny(ref peer, (TlsContentType)Next(), zeros: Next());
                break;
            case 'l':
                Seal(ref peer, TlsContentType.ApplicationData, new byte[NextPair() % LengthBound]);
                break;
            case 'k' or 'K':
                Seal(ref peer, TlsContentType.Handshake, [24, 0, 0, 1, step == 'K' ? (byte)1 : (byte)0]);
                if (peer.Parameters.IsTls13) peer.UpdateWriteKey();
                break;
            case 'a':
                Seal(ref peer, TlsContentType.Alert, [Next(), Next()]);
                break;
            case 'e':
                Seal(ref peer, TlsContentType.Alert, [1, (byte)TlsAlert.CloseNotify]);
                break;
            case 'u' when peer.Parameters.IsTls13:
                peer.UpdateWriteKey();
                _isOutOfStep = true;
                break;
            case 'r':
                _stream.AddRange(Take(Next()));
                break;
            case 'x':
                (int back, byte mask) = (NextPair(), Next());
                if (_stream.Count > 0) _stream[^(1 + back % _stream.Count)] ^= mask;
                break;
            case 'c':
                int lost = Math.Min(Next(), _stream.Count);
                _stream.RemoveRange(_stream.Count - lost, lost);
                break;
            case 'D':
                _stream.AddRange(_last);
                break;
        }
    }

    private void SealAny(ref TlsConnectionState peer, TlsContentType type, int zeros)
    {
        byte[] content = Take(Next());

        // It may be a key update, or its end, behind which the key stays what it was.
        _isOutOfStep |= type == TlsContentType.Handshake;
        if (type == TlsContentType.Invalid && peer.Parameters.IsTls13 && content.AsSpan().LastIndexOfAnyExcept((byte)0) is >= 0 and int last)
        {
            // What looks like the end of the content is the type, and the zeros behind it are padding.
            (type, zeros) = ((TlsContentType)content[last], zeros + content.Length - last);
            content = content[..last];
            _isOutOfStep |= type == TlsContentType.Handshake;
        }

        Seal(ref peer, type, content, zeros);
    }

    private void Seal(ref TlsConnectionState peer, TlsContentType type, byte[] content, int zeros = 0)
    {
        byte[] record = new byte[TlsRecord.HeaderBytes + content.Length + 1 + zeros + peer.Parameters.Expansion];
        content.CopyTo(record.AsSpan(TlsRecord.HeaderBytes + peer.Parameters.ExplicitNonceBytes));
        (TlsContentType last, int bytes) = (type, content.Length);
        if (zeros > 0 && peer.Parameters.IsTls13)
        {
            // The type that is written behind what is sealed is the last zero.
            record[TlsRecord.HeaderBytes + bytes] = (byte)type;
            (last, bytes) = (TlsContentType.Invalid, bytes + zeros);
        }

        int length = RecordProtection.Seal(peer.Parameters, ref peer.Write, last, record, bytes);
        _last = record[..length];
        _stream.AddRange(_last);
        _records.Add(new SealedRecord(type, content, _sealed.Count, _sealed.Count + length));
        _sealed.AddRange(_last);
    }

    private byte Next() => _at < _steps.Length ? _steps[_at++] : (byte)0;

    private int NextPair() => Next() << 8 | Next();

    private byte[] Take(int count)
    {
        byte[] taken = _steps[_at..Math.Min(_steps.Length, _at + count)];
        _at += taken.Length;
        return taken;
    }
}
