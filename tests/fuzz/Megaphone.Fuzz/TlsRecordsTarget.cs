using Megaphone.Interop;
using Megaphone.Tests.Links;
using Megaphone.Tests.Tls;
using Megaphone.Tls;

namespace Megaphone.Fuzz;

/// <summary>
/// The same records to OpenSSL's server and to ours, which have the same keys: both deliver the same data and come to the same verdict, with the
/// same alert; and where the connection goes on, the client can read what either of them answers.
/// </summary>
/// <remarks>
/// Where the two differ on purpose, what they deliver is compared with what was sealed, and no more (<see cref="MayDiffer"/>). And OpenSSL has
/// other bounds for records without data: none for key updates, lower ones for others.
/// </remarks>
internal static class TlsRecordsTarget
{
    private const int ErrorSsl = 1;

    private static readonly Lazy<(OpenSslContext Client, OpenSslContext Server)[]> Contexts = new(MakeContexts);

    private static ReadOnlySpan<byte> Answer => "<answer/>"u8;

    public static void Run(byte[] input)
    {
        int suite = RecordScript.SuiteOf(input);
        using OpenSslPeer openSsl = Connect(suite, out TlsConnectionState client, out TlsConnectionState ours);
        TlsConnectionState clientOfOurs = client;
        ArrivedRecords arrived = RecordScript.Play(input, ref client);

        RecordReading reading = RecordReading.Of(ref ours, arrived.Stream, arrived.Lengths, behind: 0);
        openSsl.Give(arrived.Stream);
        byte[] data = openSsl.Read(out int end);
        byte[] shorter = data.Length < reading.Data.Length ? data : reading.Data;
        Property.Holds(arrived.Data.AsSpan().StartsWith(shorter), "both deliver what was sealed");
        if (arrived.TriesPatience || Array.Exists(arrived.Intact, IsRefusalToRenegotiate)) return;
        TlsAlert? sent = ReceiveAll(openSsl, ref client, []);
        SealedRecord? refused = reading.Last.Kind == OpenedRecordKind.Fault
            ? Array.Find(arrived.Intact, record => record.Start == reading.At)
            : null;
        if (refused is not null && MayDiffer(refused)) return;

        Property.Holds(data.AsSpan().SequenceEqual(reading.Data), "both deliver the same");
        CheckVerdict(reading, refused, end, sent);
        bool goesOn = (end == OpenSsl.ErrorWantRead || (end == OpenSsl.ErrorZeroReturn && RecordScript.IsTls13(suite)))
            && reading.Last.Kind is not (OpenedRecordKind.Incomplete or OpenedRecordKind.Fault) && !ours.Message.HasBegun;
        if (!goesOn) return;
        openSsl.Write(Answer);
        openSsl.End();
        ReceiveAll(openSsl, ref client, Answer);
        CheckAnswer(reading, ref ours, ref clientOfOurs);
    }

    /// <summary>Whether a record that ours refuses may get another alert from OpenSSL, or none.</summary>
    private static bool MayDiffer(SealedRecord refused) => refused.Type switch
    {
        // OpenSSL looks at a message when its header is whole, and has other alerts for key updates of a wrong length. In TLS 1.2 it
        // says no_renegotiation, and goes on.
        TlsContentType.Handshake => true,
        TlsContentType.Alert => refused.Content.Length != 2,
        _ => false,
    };

    /// <summary>Whether a client refuses to renegotiate. Nobody has asked it to: to OpenSSL that is fatal, and to ours a warning.</summary>
    private static bool IsRefusalToRenegotiate(SealedRecord record) =>
        record.Type == TlsContentType.Alert && record.Content is [_, (byte)TlsAlert.NoRenegotiation];

    private static void CheckVerdict(RecordReading reading, SealedRecord? refused, int end, TlsAlert? sent)
    {
        string both = $"ours {reading.Last.Kind} {reading.Last.Alert}, OpenSSL {end} {sent}";
        switch (reading.Last.Kind)
        {
            case OpenedRecordKind.Ended:
                // OpenSSL calls it an error of the system if its level, which TLS 1.3 does not look at, is not that of a warning.
                Property.Holds(end is OpenSsl.ErrorZeroReturn or OpenSsl.ErrorSystemCall, $"both see the end: {both}");
                break;
            case OpenedRecordKind.FatalAlert:
                Property.Holds(end == ErrorSsl && sent is null, $"both see a fatal alert: {both}");
                break;
            case OpenedRecordKind.Fault when refused is not null:
                Property.Holds(end == ErrorSsl && sent == reading.Last.Alert, $"both refuse with the same alert: {both}");
                break;
            case OpenedRecordKind.Fault or OpenedRecordKind.Incomplete:
                // Nobody has sealed it: one may wait for the end of what looks like a record, where the other has seen enough.
                Property.Holds(end is OpenSsl.ErrorWantRead or ErrorSsl, $"both wait or refuse: {both}");
                break;
            default:
                Property.Holds(end == OpenSsl.ErrorWantRead, $"both go on: {both}");
                break;
        }
    }

    /// <summary>Ours answers, and the client reads it; asked for key updates, it sends one.</summary>
    private static void CheckAnswer(RecordReading reading, ref TlsConnectionState ours, ref TlsConnectionState client)
    {
        if (reading.WasAskedForKeyUpdate) ours.OweKeyUpdate();
        byte[] buffer = new byte[TlsRecordWriter.BytesBefore + Answer.Length + TlsRecordWriter.BytesAfter];
        Answer.CopyTo(buffer.AsSpan(TlsRecordWriter.BytesBefore));
        byte[] answer = TlsRecordWriter.Seal(ref ours, buffer).ToArray();
        byte[] end = TlsRecordWriter.SealEnd(ref ours, TlsAlert.CloseNotify, new byte[TlsRecordWriter.MaxEndBytes]).ToArray();
        int record = TlsRecord.HeaderBytes + ours.Parameters.Expansion + Answer.Length;
        int expected = reading.WasAskedForKeyUpdate ? TlsRecordWriter.KeyUpdateBytes + record : record;
        Property.Holds(answer.Length == expected, "one key update answers all");
        RecordReading read = RecordReading.Of(ref client, [.. answer, .. end], CutStream.Whole, behind: 0);
        Property.Holds(Answer.SequenceEqual(read.Data) && read.Last.Kind == OpenedRecordKind.Ended, "a client reads what ours answers");
    }

    /// <summary>The client reads what OpenSSL has sent.</summary>
    /// <returns>The fatal alert in it, if there is one.</returns>
    private static TlsAlert? ReceiveAll(OpenSslPeer openSsl, ref TlsConnectionState client, ReadOnlySpan<byte> expected)
    {
        byte[] sent = openSsl.Take();
        RecordReading read = RecordReading.Of(ref client, sent, CutStream.Whole, behind: 0);
        Property.Holds(expected.SequenceEqual(read.Data), "a client reads what OpenSSL answers");
        bool isRead = read.At == sent.Length && read.Last.Kind is not (OpenedRecordKind.Fault or OpenedRecordKind.Incomplete);
        Property.Holds(isRead || sent.Length == 0, $"a client accepts what OpenSSL sends: {read.Last}");
        return read.Last.Kind == OpenedRecordKind.FatalAlert ? read.Last.Alert : null;
    }

    /// <summary>A handshake between OpenSSL and OpenSSL, of whose client nothing is left but the keys.</summary>
    private static OpenSslPeer Connect(int suite, out TlsConnectionState client, out TlsConnectionState ours)
    {
        (OpenSslContext clientContext, OpenSslContext serverContext) = Contexts.Value[suite];
        using OpenSslPeer first = new(clientContext);
        OpenSslPeer server = new(serverContext);
        bool isDone = false;
        while (!isDone)
        {
            bool clientIsDone = first.Handshake();
            server.Give(first.HandshakeBytes);
            isDone = server.Handshake() && clientIsDone;
            first.Give(server.HandshakeBytes);
        }

        // OpenSSL's server goes on as well: neither knows of the other.
        (client, ours) = (default, default);
        Property.Holds(first.TryTakeOver(ref client) && server.TryTakeOver(ref ours), "a connection is taken over");
        return server;
    }

    private static (OpenSslContext Client, OpenSslContext Server)[] MakeContexts()
    {
        using TestAuthority authority = new();
        (string, string) certificate = authority.Issue("server", "example.org");
        return [.. Enumerable.Range(0, RecordScript.Suites).Select(suite =>
        {
            (bool isTls13, AeadAlgorithm algorithm) = (RecordScript.IsTls13(suite), RecordScript.AlgorithmOf(suite));
            OpenSslContext server = new(isTls13, algorithm, certificate);
            server.AllowHandshakeOnly();
            return (new OpenSslContext(isTls13, algorithm, certificate: null), server);
        })];
    }
}
