using Megaphone.Tls;
using Xunit;
using static Megaphone.Tests.Tls.TlsEnds;

namespace Megaphone.Tests.Tls;

/// <summary>What a peer may send behind its handshake, and what it gets for anything else. The sections are those of RFC 8446.</summary>
public sealed class TlsRecordReaderTests
{
    private const int MaxContent = 1 << 14;

    public static TheoryData<string, string> Ends => All;

    [Theory]
    [MemberData(nameof(Ends))]
    public void Data_comes_out_as_it_went_in_both_ways(string version, string algorithm)
    {
        TlsEnds ends = Of(version, algorithm);
        for (int i = 0; i < 3; i++) ends.AssertTalk();
        byte[] most = Enumerable.Range(0, MaxContent).Select(i => (byte)i).ToArray();
        Assert.Equal(most, Open(ref ends.Server, ends.ClientSeals(most)).Data);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public void Connections_that_take_turns_in_a_thread_do_not_get_each_others_keys(string version, string algorithm)
    {
        TlsEnds[] ends = [Of(version, algorithm), Of(version, algorithm), Of("1.3", algorithm)];
        for (int i = 0; i < 12; i++) ends[i * 5 % 3].AssertTalk();
    }

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public void A_record_that_has_not_come_whole_is_waited_for_byte_by_byte(string version)
    {
        TlsEnds ends = Of(version);
        byte[] record = ends.ClientSeals("<presence/>"u8);
        for (int come = 0; come < record.Length; come++)
        {
            OpenedRecord opened = ends.ServerOpens(record.AsSpan(0, come));
            Assert.Equal(new OpenedRecord(OpenedRecordKind.Incomplete, come < TlsRecord.HeaderBytes ? TlsRecord.HeaderBytes : record.Length), opened);
        }

        Assert.Equal(OpenedRecordKind.Data, ends.ServerOpens(record).Kind);
    }

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public void Of_several_records_the_first_is_opened(string version)
    {
        TlsEnds ends = Of(version);
        byte[] first = ends.ClientSeals("<a/>"u8), second = ends.ClientSeals("<b/>"u8);
        byte[] received = [.. first, .. second];
        OpenedRecord opened = TlsRecordReader.Open(ref ends.Server, received);
        Assert.Equal((OpenedRecordKind.Data, first.Length), (opened.Kind, opened.Length));
        Assert.Equal("<a/>"u8.ToArray(), received[opened.DataStart..(opened.DataStart + opened.DataLength)]);
        Assert.Equal("<b/>"u8.ToArray(), Open(ref ends.Server, received.AsSpan(opened.Length)).Data);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(255)]
    public void Padding_is_left_out_5_4(int padding)
    {
        TlsEnds ends = Of("1.3");
        Assert.Equal("<a/>\0"u8.ToArray(), Open(ref ends.Server, ends.ClientSeals(TlsContentType.ApplicationData, "<a/>\0"u8, padding)).Data);
        Assert.Equal(OpenedRecordKind.Nothing, ends.ServerOpens(ends.ClientSeals(TlsContentType.ApplicationData, [], padding)).Kind);
        ends.AssertTalk();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    public void A_record_of_nothing_but_zeros_is_an_unexpected_message_5_4(int zeros)
    {
        TlsEnds ends = Of("1.3");
        AssertFault(TlsAlert.UnexpectedMessage, ends.ServerOpens(ends.ClientSeals(TlsContentType.Invalid, new byte[zeros])));
    }

    [Theory]
    [InlineData("1.3", MaxContent + 256)]
    [InlineData("1.2", MaxContent + 24)]
    public void A_record_that_is_too_long_is_refused_by_its_header_5_2(string version, int most)
    {
        TlsEnds ends = Of(version);
        Assert.Equal(OpenedRecordKind.Incomplete, ends.ServerOpens([23, 3, 3, (byte)(most >> 8), (byte)most]).Kind);
        AssertFault(TlsAlert.RecordOverflow, ends.ServerOpens([23, 3, 3, (byte)((most + 1) >> 8), (byte)(most + 1)]));
    }

    [Theory]
    [InlineData(MaxContent, 239, null)]
    [InlineData(MaxContent + 1, 0, TlsAlert.RecordOverflow)]
    [InlineData(MaxContent + 1, 238, TlsAlert.RecordOverflow)]
    public void Of_the_content_no_more_than_16384_bytes_are_accepted_whatever_the_padding_5_1(int content, int padding, object? alert)
    {
        TlsEnds ends = Of("1.3");
        OpenedRecord opened = ends.ServerOpens(ends.ClientSeals(TlsContentType.ApplicationData, new byte[content], padding));
        if (alert is null) Assert.Equal(content, opened.DataLength);
        else AssertFault((TlsAlert)alert, opened);
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public void A_record_that_is_too_short_for_a_tag_is_a_bad_record_mac(string version, string algorithm)
    {
        TlsEnds ends = Of(version, algorithm);
        for (int length = 0; length < ends.Server.Parameters.Expansion; length++)
            AssertFault(TlsAlert.BadRecordMac, ends.ServerOpens([23, 3, 3, 0, (byte)length, .. new byte[length]]));
    }

    [Theory]
    [InlineData("1.3", 20)]
    [InlineData("1.3", 21)]
    [InlineData("1.3", 22)]
    [InlineData("1.3", 24)]
    [InlineData("1.3", 'G')]
    [InlineData("1.2", 20)]
    [InlineData("1.2", 24)]
    [InlineData("1.2", 'G')]
    public void Records_of_these_types_may_not_come_on_the_outside_5(string version, int type)
    {
        AssertFault(TlsAlert.UnexpectedMessage, Of(version).ServerOpens([(byte)type, 3, 3, 0, 1]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    [InlineData(24)]
    [InlineData(255)]
    public void Records_of_these_types_may_not_come_on_the_inside_5(int type)
    {
        TlsEnds ends = Of("1.3");
        AssertFault(TlsAlert.UnexpectedMessage, ends.ServerOpens(ends.ClientSeals((TlsContentType)type, [1], padding: 1)));
    }

    [Theory]
    [InlineData(2, 0)]
    [InlineData(3, 2)]
    [InlineData(3, 4)]
    public void A_record_of_TLS_1_2_with_another_version_is_refused(byte major, byte minor)
    {
        AssertFault(TlsAlert.ProtocolVersion, Of("1.2").ServerOpens([23, major, minor, 0, 30]));
    }

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public void A_record_twice_or_out_of_order_is_a_bad_record_mac(string version)
    {
        TlsEnds ends = Of(version);
        byte[] first = ends.ClientSeals("<a/>"u8), second = ends.ClientSeals("<b/>"u8);
        TlsConnectionState copy = ends.Server;
        AssertFault(TlsAlert.BadRecordMac, Open(ref copy, second).Opened);
        Assert.Equal(OpenedRecordKind.Data, ends.ServerOpens(first).Kind);
        AssertFault(TlsAlert.BadRecordMac, ends.ServerOpens(first));
    }

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public void Of_a_record_that_was_changed_nothing_is_left_in_the_buffer(string version)
    {
        TlsEnds ends = Of(version);
        byte[] record = ends.ClientSeals("secret"u8);
        record[^1] ^= 1;
        AssertFault(TlsAlert.BadRecordMac, TlsRecordReader.Open(ref ends.Server, record));
        Assert.Equal(new byte[6], record[(TlsRecord.HeaderBytes + ends.Server.Parameters.ExplicitNonceBytes)..][..6]);
    }

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public void More_than_64_records_without_data_in_a_row_end_the_connection(string version)
    {
        TlsEnds ends = Of(version);
        for (int round = 0; round < 2; round++)
        {
            for (int i = 0; i < TlsRecordReader.MaxRecordsWithoutData; i++)
                Assert.Equal(OpenedRecordKind.Nothing, ends.ServerOpens(ends.ClientSeals(TlsContentType.ApplicationData, [])).Kind);
            ends.AssertTalk();
        }

        for (int i = 0; i < TlsRecordReader.MaxRecordsWithoutData; i++)
            Assert.Equal(OpenedRecordKind.Nothing, ends.ServerOpens(ends.ClientSeals(TlsContentType.Alert, Warning(version))).Kind);
        AssertFault(TlsAlert.UnexpectedMessage, ends.ServerOpens(ends.ClientSeals(TlsContentType.ApplicationData, [])));
    }

    [Theory]
    [InlineData("1.3")]
    [InlineData("1.2")]
    public void Empty_alerts_and_handshake_messages_are_unexpected_5_4(string version)
    {
        foreach (TlsContentType type in new[] { TlsContentType.Alert, TlsContentType.Handshake })
        {
            TlsEnds ends = Of(version);
            AssertFault(TlsAlert.UnexpectedMessage, ends.ServerOpens(ends.ClientSeals(type, [])));
        }
    }

    [Fact]
    public void In_TLS_1_2_another_handshake_is_answered_with_no_renegotiation_and_other_messages_of_it_are_unexpected()
    {
        TlsEnds ends = Of("1.2");
        AssertFault(TlsAlert.NoRenegotiation, ends.ServerOpens(ends.ClientSeals(TlsContentType.Handshake, [1, 0, 0, 9])));
        ends = Of("1.2");
        AssertFault(TlsAlert.UnexpectedMessage, ends.ServerOpens(ends.ClientSeals(TlsContentType.Handshake, [20, 0, 0, 12])));
        ends = Of("1.2");
        AssertFault(TlsAlert.NoRenegotiation, ends.ClientOpens(ends.ServerSeals(TlsContentType.Handshake, [0, 0, 0, 0])));
        ends = Of("1.2");
        AssertFault(TlsAlert.UnexpectedMessage, ends.ServerOpens(ends.ClientSeals(TlsContentType.Handshake, [0, 0, 0, 0])));
    }

    [Theory]
    [MemberData(nameof(Ends))]
    public void The_last_sequence_number_is_never_used(string version, string algorithm)
    {
        TlsEnds ends = Of(version, algorithm);
        ends.Client.Write.Sequence = ends.Server.Read.Sequence = ulong.MaxValue - 1;
        Assert.Equal(OpenedRecordKind.Data, ends.ServerOpens(ends.ClientSeals(TlsContentType.ApplicationData, [1])).Kind);
        Assert.Throws<InvalidOperationException>(() => ends.ClientSeals(TlsContentType.ApplicationData, [1]));
        AssertFault(TlsAlert.InternalError, ends.ServerOpens([23, 3, 3, 0, 30, .. new byte[30]]));
    }

    internal static void AssertFault(TlsAlert alert, OpenedRecord opened) =>
        Assert.Equal((OpenedRecordKind.Fault, alert), (opened.Kind, opened.Alert));

    private static byte[] Warning(string version) => version == "1.3" ? [1, (byte)TlsAlert.UserCanceled] : [1, 113];
}
