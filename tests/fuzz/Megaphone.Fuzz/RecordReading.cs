using System.Runtime.InteropServices;
using Megaphone.Tls;

namespace Megaphone.Fuzz;

/// <summary>Gives a stream in parts to our record layer, as a connection does, and checks each of its answers.</summary>
internal sealed class RecordReading
{
    /// <summary>How far beside a record is looked for bytes that should not have changed.</summary>
    private const int Margin = 64;

    private readonly List<byte> _data = [];
    private readonly byte[] _memory;

    /// <summary>What the memory should look like, but for the record that is being opened.</summary>
    private readonly byte[] _expected;

    private RecordReading(int bytes, byte behind)
    {
        _memory = new byte[bytes];
        _memory.AsSpan().Fill(behind);
        _expected = [.. _memory];
    }

    public byte[] Data => [.. _data];

    /// <summary>What the last record was; with <see cref="OpenedRecordKind.Incomplete"/> there may be more to come.</summary>
    public OpenedRecord Last { get; private set; }

    /// <summary>Where the record begins that is waited for, or was refused.</summary>
    public int At { get; private set; }

    public bool WasAskedForKeyUpdate { get; private set; }

    public bool IsOver => Last.Kind is OpenedRecordKind.Ended or OpenedRecordKind.Fault or OpenedRecordKind.FatalAlert;

    /// <summary>Reads.</summary>
    /// <param name="state">The connection.</param>
    /// <param name="stream">What arrives.</param>
    /// <param name="lengths">The lengths of the parts in which it does.</param>
    /// <param name="behind">What lies in memory behind each part, which nobody may look at.</param>
    public static RecordReading Of(ref TlsConnectionState state, byte[] stream, int[] lengths, byte behind)
    {
        RecordReading reading = new(stream.Length, behind);
        int from = 0;
        for (int part = 0; from < stream.Length && !reading.IsOver; part++)
        {
            int to = from + Math.Min(lengths[part % lengths.Length], stream.Length - from);
            stream.AsSpan(from, to - from).CopyTo(reading._memory.AsSpan(from));
            stream.AsSpan(from, to - from).CopyTo(reading._expected.AsSpan(from));
            reading.Open(ref state, to);
            from = to;
        }

        return reading;
    }

    public bool IsSameAs(RecordReading other) => Last == other.Last && At == other.At && _data.SequenceEqual(other._data);

    /// <summary>Opens what has come whole.</summary>
    private void Open(ref TlsConnectionState state, int received)
    {
        while (At < received && !IsOver)
        {
            TlsConnectionState before = state;
            Last = TlsRecordReader.Open(ref state, _memory.AsSpan(At, received - At));
            int most = TlsRecord.HeaderBytes + state.Parameters.MaxFragmentBytes;
            int touched = Last.Kind switch
            {
                OpenedRecordKind.Incomplete => 0,

                // Where a record is refused for what is in it, it has been decrypted.
                OpenedRecordKind.Fault => Math.Min(received - At, most),
                _ => Last.Length,
            };
            Property.Holds(Last.Kind == OpenedRecordKind.Incomplete || touched <= received - At, "a record is a part of what has come");
            bool isSame = IsAsExpected(At - Margin, At) && IsAsExpected(At + touched, received + Margin);
            Property.Holds(isSame, "nothing is written beside a record");
            if (Last.Kind == OpenedRecordKind.Incomplete)
            {
                Property.Holds(Last.Length > received - At && Last.Length <= most, "more is waited for than has come, and no more than a record");
                Property.Holds(AreSame(ref before, ref state), "to wait changes nothing");
                return;
            }

            if (Last.Kind == OpenedRecordKind.Fault) return;
            Take();
        }
    }

    private bool IsAsExpected(int from, int to)
    {
        Range range = Math.Max(from, 0)..Math.Min(to, _memory.Length);
        return _memory.AsSpan(range).SequenceEqual(_expected.AsSpan(range));
    }

    private void Take()
    {
        Property.Holds(Last.Length > 0, "a record is not empty");
        WasAskedForKeyUpdate |= Last.Kind == OpenedRecordKind.KeyUpdateRequested;
        if (Last.Kind == OpenedRecordKind.Data)
        {
            Property.Holds(Last.DataLength is > 0 and <= SecurityParameters.MaxContentBytes, "data is not empty, and not longer than allowed");
            Property.Holds(Last.DataStart + Last.DataLength <= Last.Length, "data is a part of its record");
            _data.AddRange(_memory.AsSpan(At + Last.DataStart, Last.DataLength));
        }
        else
        {
            Property.Holds(Last.DataLength == 0, "only data has data");
        }

        _memory.AsSpan(At, Last.Length).CopyTo(_expected.AsSpan(At));
        At += Last.Length;
    }

    public static bool AreSame(ref TlsConnectionState one, ref TlsConnectionState other) =>
        MemoryMarshal.AsBytes(new Span<TlsConnectionState>(ref one)).SequenceEqual(MemoryMarshal.AsBytes(new Span<TlsConnectionState>(ref other)));
}
