using FsCheck;
using FsCheck.Fluent;
using Megaphone.Tls;
using Xunit;

namespace Megaphone.Tests.Tls;

/// <summary>Properties of the record layer, whatever is sent and however it arrives.</summary>
public sealed class TlsRecordPropertyTests
{
    private static readonly Gen<byte> Bytes = Gen.Choose(0, 255).Select(value => (byte)value);

    private static readonly Gen<byte[][]> Parts =
        Gen.Sized(size => Gen.Choose(0, Math.Max(1, size * 3)).SelectMany(length => Gen.ArrayOf(Bytes, length))).ArrayOf();

    [Theory]
    [MemberData(nameof(TlsEnds.All), MemberType = typeof(TlsEnds))]
    public void Any_data_in_any_records_cut_anywhere_comes_out_the_same(string version, string algorithm) =>
        Prop.ForAll(Arb.From(Parts), Arb.From(Gen.Choose(0, 40).ArrayOf()), (parts, cuts) =>
        {
            TlsEnds ends = TlsEnds.Of(version, algorithm);
            List<byte> wire = [];
            foreach (byte[] part in parts)
            {
                int padding = version == "1.3" ? part.Length % 3 : 0;
                wire.AddRange(ends.ClientSeals(TlsContentType.ApplicationData, part, padding));
            }

            (byte[] data, TlsAlert? fault) = Receive(ends, [.. wire], cuts);
            Assert.Null(fault);
            Assert.Equal(parts.SelectMany(part => part), data);
        }).QuickCheckThrowOnFailure();

    [Theory]
    [MemberData(nameof(TlsEnds.All), MemberType = typeof(TlsEnds))]
    public void A_flipped_bit_ends_in_bad_record_mac_and_nothing_behind_it_is_delivered(string version, string algorithm) =>
        Prop.ForAll(Arb.From(Parts), Arb.From(Gen.Choose(0, int.MaxValue)), (parts, flipped) =>
        {
            TlsEnds ends = TlsEnds.Of(version, algorithm);
            byte[] wire = [.. parts.Append([1, 2, 3]).SelectMany(part => ends.ClientSeals(TlsContentType.ApplicationData, part))];
            int bit = flipped % (wire.Length * 8);
            wire[bit / 8] ^= (byte)(1 << bit % 8);

            (byte[] data, TlsAlert? fault) = Receive(ends, wire, []);
            (int intact, int at) = Find(parts, ends.Server.Parameters.Expansion, bit / 8);
            Assert.Equal(parts.Take(intact).SelectMany(part => part), data);
            switch (at)
            {
                case 0:
                    Assert.True(fault is TlsAlert.UnexpectedMessage or TlsAlert.BadRecordMac);
                    break;
                case 1 or 2 when version == "1.2":
                    Assert.Equal(TlsAlert.ProtocolVersion, fault);
                    break;
                case 3 or 4:
                    // A record that seems to be longer is waited for.
                    Assert.True(fault is null or TlsAlert.RecordOverflow or TlsAlert.BadRecordMac);
                    break;
                default:
                    Assert.Equal(TlsAlert.BadRecordMac, fault);
                    break;
            }
        }).QuickCheckThrowOnFailure();

    /// <summary>
    /// The model: each end knows whether it has been asked, and answers when it sends data next. Data in both directions comes through whatever is
    /// asked for at whatever time.
    /// </summary>
    [Theory]
    [MemberData(nameof(TlsKeyUpdateTests.Algorithms), MemberType = typeof(TlsKeyUpdateTests))]
    public void Key_updates_of_both_ends_at_any_time_are_answered_once_each_and_lose_nothing(string algorithm) =>
        Prop.ForAll(Arb.From(Gen.Elements(Enum.GetValues<Step>()).ArrayOf()), steps =>
        {
            TlsEnds ends = TlsEnds.Of("1.3", algorithm);
            bool clientOwes = false, serverOwes = false;
            foreach (Step step in steps)
            {
                switch (step)
                {
                    case Step.ClientSends:
                        AssertSent(ref ends.Client, ref ends.Server, ref clientOwes);
                        break;
                    case Step.ServerSends:
                        AssertSent(ref ends.Server, ref ends.Client, ref serverOwes);
                        break;
                    case Step.ClientAsks:
                        Ask(ref ends.Client, ref ends.Server, ref clientOwes, ref serverOwes);
                        break;
                    default:
                        Ask(ref ends.Server, ref ends.Client, ref serverOwes, ref clientOwes);
                        break;
                }
            }

            AssertSent(ref ends.Client, ref ends.Server, ref clientOwes);
            AssertSent(ref ends.Server, ref ends.Client, ref serverOwes);
        }).QuickCheckThrowOnFailure();

    private static void AssertSent(ref TlsConnectionState sender, ref TlsConnectionState receiver, ref bool owes)
    {
        Span<byte> wire = TlsEnds.Seal(ref sender, "<message/>"u8);
        if (owes)
        {
            OpenedRecord update = TlsRecordReader.Open(ref receiver, wire);
            Assert.Equal(OpenedRecordKind.Nothing, update.Kind);
            wire = wire[update.Length..];
        }

        OpenedRecord data = TlsRecordReader.Open(ref receiver, wire);
        Assert.Equal((OpenedRecordKind.Data, wire.Length), (data.Kind, data.Length));
        owes = false;
    }

    /// <summary>A key update that asks for one. It is one itself, so it answers what its sender has been asked for.</summary>
    private static void Ask(ref TlsConnectionState sender, ref TlsConnectionState receiver, ref bool senderOwes, ref bool receiverOwes)
    {
        byte[] record = new byte[TlsRecordWriter.KeyUpdateBytes];
        ReadOnlySpan<byte> message = [24, 0, 0, 1, 1];
        message.CopyTo(record.AsSpan(TlsRecord.HeaderBytes));
        RecordProtection.Seal(sender.Parameters, ref sender.Write, TlsContentType.Handshake, record, message.Length);
        sender.UpdateWriteKey();
        receiver.RecordsWithoutData = 0;
        Assert.Equal(OpenedRecordKind.KeyUpdateRequested, TlsRecordReader.Open(ref receiver, record).Kind);
        receiver.OweKeyUpdate();
        (senderOwes, receiverOwes) = (false, true);
    }

    /// <summary>The server receives pieces of these lengths, over and over, and opens what is whole.</summary>
    private static (byte[] Data, TlsAlert? Fault) Receive(TlsEnds ends, byte[] wire, int[] cuts)
    {
        List<byte> data = [];
        int start = 0, end = 0;
        for (int cut = 0; end < wire.Length; cut++)
        {
            end = Math.Min(wire.Length, end + (cuts.Length == 0 ? wire.Length : Math.Max(1, cuts[cut % cuts.Length])));
            while (start < end)
            {
                OpenedRecord opened = TlsRecordReader.Open(ref ends.Server, wire.AsSpan(start, end - start));
                if (opened.Kind == OpenedRecordKind.Fault) return ([.. data], opened.Alert);
                if (opened.Kind == OpenedRecordKind.Incomplete)
                {
                    Assert.True(opened.Length > end - start);
                    break;
                }

                ends.Server.RecordsWithoutData = 0;
                data.AddRange(wire.AsSpan(start + opened.DataStart, opened.DataLength));
                start += opened.Length;
            }
        }

        return ([.. data], null);
    }

    /// <summary>Finds in which record a byte lies, and where in it.</summary>
    private static (int Record, int At) Find(byte[][] parts, int expansion, int at)
    {
        for (int record = 0; ; record++)
        {
            int length = TlsRecord.HeaderBytes + expansion + (record < parts.Length ? parts[record].Length : int.MaxValue / 2);
            if (at < length) return (record, at);
            at -= length;
        }
    }

    private enum Step
    {
        ClientSends,
        ServerSends,
        ClientAsks,
        ServerAsks,
    }
}
