using System.Buffers.Binary;
using System.Text;
using Megaphone.Tests.Web;
using Megaphone.Web;
using Megaphone.Xmpp;

namespace Megaphone.Fuzz;

/// <summary>
/// A client's WebSocket frames: the same messages and the same fault however they are cut, those that a plain reader finds which has all of
/// it at once, at the first byte that is no UTF-8; memory within its bounds and all of it given back.
/// </summary>
internal static class WebFramesTarget
{
    private const int MaxMessage = 400;
    private const int ScarceMemory = 256;

    public static void Run(byte[] input)
    {
        CutStream stream = CutStream.Parse(input);
        FrameReading whole = Read(stream.Bytes, CutStream.Whole, long.MaxValue);
        foreach (int[] lengths in (int[][])[stream.Lengths, CutStream.Single])
        {
            FrameReading cut = Read(stream.Bytes, lengths, long.MaxValue);
            Property.Holds(cut.Fault == whole.Fault && cut.Found.SequenceEqual(whole.Found), "frames are read the same however they are cut");
        }

        FrameReading scarce = Read(stream.Bytes, stream.Lengths, ScarceMemory);
        Property.Holds(
            whole.Found.Take(scarce.Found.Count).SequenceEqual(scarce.Found), "scarce memory changes nothing but that a client is refused");
        (List<string> expected, CloseCode fault) = Expect(stream.Bytes);
        Property.Holds(expected.SequenceEqual(whole.Found) && fault == whole.Fault, $"a plain reader finds the same: {fault}, {whole.Fault}");
    }

    private static FrameReading Read(byte[] bytes, int[] lengths, long limit)
    {
        PieceMemory memory = new(limit);
        FrameReading reading = new(MaxMessage, memory);
        CutStream.Feed(bytes, lengths, part =>
        {
            reading.Feed(part.ToArray());
            Property.Holds(memory.InUse == reading.Held, "what is held is counted");
            Property.Holds(!reading.IsOver || reading.Held == 0, "a refused client holds no memory");
            return !reading.IsOver;
        });
        Property.Holds(reading.MostHeld <= Math.Min(limit, MaxMessage + 139), "no more is held than a message and a control frame");
        reading.Dispose();
        Property.Holds(memory.InUse == 0, "all memory is given back");
        return reading;
    }

    /// <summary>RFC 6455, sections 5.2 to 5.5, read off an array.</summary>
    private static (List<string> Found, CloseCode Fault) Expect(byte[] bytes)
    {
        List<string> found = [];
        List<byte>? message = null;
        for (int at = 0; at < bytes.Length;)
        {
            int opcode = bytes[at] & 15;
            bool isControl = opcode >= 8, isFinal = bytes[at] >= 128;
            if ((bytes[at] & 0x70) != 0 || opcode is (> 2 and < 8) or > 10 || (isControl && !isFinal)) return (found, CloseCode.ProtocolError);
            if (opcode == 2) return (found, CloseCode.UnsupportedData);
            if (at + 2 > bytes.Length) break;
            int form = bytes[at + 1] & 127;
            if (bytes[at + 1] < 128 || (isControl && form > 125)) return (found, CloseCode.ProtocolError);
            int more = form == 126 ? 2 : form == 127 ? 8 : 0;
            if (at + 6 + more > bytes.Length) break;
            ulong length = form switch
            {
                126 => BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(at + 2)),
                127 => BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(at + 2)),
                _ => (ulong)form,
            };
            if ((form == 126 && length < 126) || (form == 127 && length is < 65_536 or > long.MaxValue)) return (found, CloseCode.ProtocolError);
            if (!isControl && (opcode == 0) != message is not null) return (found, CloseCode.ProtocolError);
            if (!isControl && length > (ulong)(MaxMessage - (message?.Count ?? 0))) return (found, CloseCode.TooLong);
            int begin = at + 6 + more, end = begin + (int)length;
            bool isThere = end <= bytes.Length;
            if (isControl && !isThere) break;
            byte[] payload = [.. bytes[begin..Math.Min(end, bytes.Length)].Select((value, i) => (byte)(value ^ bytes[begin - 4 + (i % 4)]))];
            at = end;
            if (isControl)
            {
                if (opcode != (int)Opcode.Pong) found.Add($"{(Opcode)opcode}: {Encoding.Latin1.GetString(payload)}");
                continue;
            }

            message ??= [];
            message.AddRange(payload);
            bool isWhole = isFinal && isThere;
            try
            {
                new UTF8Encoding(false, throwOnInvalidBytes: true).GetDecoder().GetCharCount([.. message], flush: isWhole);
            }
            catch (DecoderFallbackException)
            {
                return (found, CloseCode.InvalidData);
            }

            if (!isWhole) continue;
            found.Add($"Message: {Encoding.Latin1.GetString([.. message])}");
            message = null;
        }

        return (found, CloseCode.None);
    }
}
