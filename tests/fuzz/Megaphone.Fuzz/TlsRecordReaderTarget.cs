using System.Runtime.InteropServices;
using Megaphone.Tls;

namespace Megaphone.Fuzz;

/// <summary>
/// Records of a peer that has the right keys, and bytes of anybody else, to our record layer alone: the same data and the same verdict however
/// they are cut; exactly the data that was sealed, up to the first record that is not what was sealed or is not allowed; nothing behind
/// the end; nothing touched beside the record; no secret left when it is over.
/// </summary>
internal static class TlsRecordReaderTarget
{
    private static readonly byte[] Secrets = [.. Enumerable.Range(1, 96).Select(value => (byte)value)];

    public static void Run(byte[] input)
    {
        foreach (bool isServer in (bool[])[true, false]) Check(input, isServer);
    }

    private static void Check(byte[] input, bool isServer)
    {
        int suite = RecordScript.SuiteOf(input);
        TlsConnectionState peer = Begin(suite, !isServer), state = Begin(suite, isServer);
        ArrivedRecords arrived = RecordScript.Play(input, ref peer);
        TlsConnectionState whole = state, cut = state, single = state;
        RecordReading reading = RecordReading.Of(ref whole, arrived.Stream, CutStream.Whole, behind: 0);
        RecordReading inParts = RecordReading.Of(ref cut, arrived.Stream, arrived.Lengths, behind: 0xFF);
        RecordReading byteByByte = RecordReading.Of(ref single, arrived.Stream, CutStream.Single, behind: 0x17);
        Property.Holds(reading.IsSameAs(inParts) && RecordReading.AreSame(ref whole, ref cut), "records are read the same however they are cut");
        Property.Holds(reading.IsSameAs(byteByByte) && RecordReading.AreSame(ref whole, ref single), "records are read the same byte by byte");

        Property.Holds(arrived.Data.AsSpan().StartsWith(reading.Data), "only data that was sealed is delivered, and in order");
        if (arrived.IsAllowed(RecordScript.IsTls13(suite)))
        {
            Property.Holds(reading.Data.Length == arrived.Data.Length, "all data is delivered");
            Property.Holds(reading.Last.Kind is not (OpenedRecordKind.Fault or OpenedRecordKind.FatalAlert), "what is allowed is accepted");
        }

        bool goesOn = reading.Last.Kind is OpenedRecordKind.Data or OpenedRecordKind.Nothing or OpenedRecordKind.KeyUpdateRequested;
        Property.Holds(!goesOn || arrived.Stream.Length == arrived.EndOfIntact, "what nobody has sealed is waited for or refused");
        Property.Holds(reading.At <= arrived.EndOfIntact || whole.ReadEnded, "nothing is read behind a record that nobody has sealed");

        if (whole.ReadEnded)
        {
            OpenedRecord behind = TlsRecordReader.Open(ref whole, arrived.Stream.AsSpan(reading.At));
            bool isPassedOver = behind.Kind == OpenedRecordKind.Ended && behind.Length == arrived.Stream.Length - reading.At;
            Property.Holds(isPassedOver, "what comes behind the end is passed over");
        }

        whole.Release();
        Property.Holds(MemoryMarshal.AsBytes(new Span<TlsConnectionState>(ref whole)).IndexOfAnyExcept((byte)0) < 0, "no secret is left");
    }

    /// <summary>An end whose keys are the same each time.</summary>
    private static TlsConnectionState Begin(int suite, bool isServer)
    {
        TlsConnectionState state = default;
        AeadAlgorithm algorithm = RecordScript.AlgorithmOf(suite);
        if (RecordScript.IsTls13(suite)) state.UseTls13(algorithm, isServer, Secrets.AsSpan(0, 48), Secrets.AsSpan(48), 0, 0);
        else state.UseTls12(algorithm, isServer, Secrets.AsSpan(0, 48), Secrets.AsSpan(0, 32), Secrets.AsSpan(48, 32), 1, 1, explicitNonce: 1);
        return state;
    }
}
