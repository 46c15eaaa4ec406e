using System.Text;
using Megaphone.Ecm;
using Megaphone.Tests.Xmpp;
using Megaphone.Tls;
using Megaphone.Xmpp;

namespace Megaphone.Fuzz;

/// <summary>
/// What a client sends before its TLS is opened: its stream up to STARTTLS, then TLS records. The same answers however it is cut; the
/// answers are one well-formed stream whatever the client wrote; only names that hosts can have are repeated; what stands in the clear
/// behind <c>&lt;starttls/&gt;</c> is refused; no more than a record is waited for.
/// </summary>
internal static class StartTlsTarget
{
    private const string Closing = "</stream:stream>";

    public static void Run(byte[] input)
    {
        CutStream stream = CutStream.Parse(input);
        Transcript whole = Talk(stream.Bytes, CutStream.Whole);
        Property.Holds(Talk(stream.Bytes, stream.Lengths) == whole, "a dialogue is the same however it is cut");
        Property.Holds(Talk(stream.Bytes, CutStream.Single) == whole, "a dialogue is the same byte by byte");
    }

    /// <summary>Talks with a client as the ECM does.</summary>
    private static Transcript Talk(byte[] bytes, int[] lengths)
    {
        PieceMemory memory = new(StartTlsDialogue.MaxPieceBytes);
        StreamSplitter splitter = new(memory);
        StreamState state = default;
        StartTlsDialogue dialogue = new(HostName.Normalize);
        StringBuilder answers = new();
        long sealedAt = -1;
        int sealedBytes = 0;
        int records = 0;
        int received = 0;
        CutStream.Feed(bytes, lengths, part =>
        {
            received += part.Count;
            ReadOnlySpan<byte> unread = part;
            while (!dialogue.HasProceeded)
            {
                StreamSplitter.Step step = splitter.Next(
                    ref state, StartTlsDialogue.MaxPieceBytes, ref unread, out ReadOnlySpan<byte> piece, out StreamFault? fault);
                if (step == StreamSplitter.Step.Incomplete) return true;
                string? host = dialogue.Host;
                byte[] answer = fault is null ? dialogue.Accept(piece, more: false) : dialogue.Refuse(fault.Condition);
                answers.Append(Encoding.UTF8.GetString(answer));
                if (host is not null && dialogue.HasProceeded) CheckMore(host, piece);
                if (dialogue.IsOver) return false;
                if (!dialogue.HasProceeded) continue;
                splitter.Release(ref state, StartTlsDialogue.MaxPieceBytes);
                sealedAt = received - unread.Length;
            }

            ReadOnlySpan<byte> waiting = bytes.AsSpan((int)sealedAt + sealedBytes, received - (int)sealedAt - sealedBytes);
            while (TlsRecord.Measure(waiting) is > 0 and int record)
            {
                Property.Holds(record <= waiting.Length && record <= TlsRecord.MaxBytes, "a record is what has come of it, and not longer than any");
                waiting = waiting[record..];
                sealedBytes += record;
                records++;
            }

            Property.Holds(waiting.Length < TlsRecord.MaxBytes, "no more than a record is waited for");
            return true;
        });
        splitter.Release(ref state, StartTlsDialogue.MaxPieceBytes);
        Property.Holds(memory.InUse == 0, "all memory is given back");
        CheckAnswers(dialogue, answers.ToString());
        return new Transcript(
            dialogue.Host, dialogue.HasProceeded, dialogue.IsOver, dialogue.Refusal, answers.Length, sealedAt, sealedBytes, records);
    }

    private static void CheckMore(string host, ReadOnlySpan<byte> startTls)
    {
        StartTlsDialogue dialogue = new(_ => host);
        dialogue.Accept("<stream:stream>"u8, more: true);
        dialogue.Accept(startTls, more: true);
        bool isRefused = dialogue is { HasProceeded: false, Refusal: StreamCondition.PolicyViolation };
        Property.Holds(isRefused, "nothing may stand in the clear behind a starttls");
    }

    private static void CheckAnswers(StartTlsDialogue dialogue, string answers)
    {
        Property.Holds(!dialogue.HasProceeded || !dialogue.IsOver, "a dialogue goes on with TLS or is over");
        if (dialogue.Host is { } host) Property.Holds(HostName.Normalize(host) == host, $"a host has its normalized name: {host}");
        if (answers.Length == 0) return;
        string stream = answers.EndsWith('>') && dialogue.IsOver ? answers : answers + Closing;
        Property.Holds(ReferenceParser.PiecesOf(stream) is { Count: <= 4 }, $"the answers are one stream: {answers}");
    }

    /// <summary>What came of it. Answers differ in their random ids, but not in length.</summary>
    private sealed record Transcript(
        string? Host, bool Proceeds, bool IsOver, StreamCondition? Refusal, int AnswerBytes, long SealedAt, int SealedBytes, int Records);
}
