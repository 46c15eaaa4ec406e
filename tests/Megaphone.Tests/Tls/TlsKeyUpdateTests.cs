using Megaphone.Tls;
using Xunit;
using static Megaphone.Tests.Tls.TlsEnds;
using static Megaphone.Tests.Tls.TlsRecordReaderTests;

namespace Megaphone.Tests.Tls;

/// <summary>Key updates, and the handshake messages that may come in their place. The sections are those of RFC 8446.</summary>
public sealed class TlsKeyUpdateTests
{
    private static readonly byte[] NotRequested = [24, 0, 0, 1, 0];
    private static readonly byte[] Requested = [24, 0, 0, 1, 1];

    public static TheoryData<string> Algorithms => [.. Enum.GetNames<AeadAlgorithm>()];

    [Theory]
    [MemberData(nameof(Algorithms))]
    public void A_key_update_of_the_peer_is_followed_and_wants_no_answer(string algorithm)
    {
        TlsEnds ends = Of("1.3", algorithm);
        ends.AssertTalk();
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(OpenedRecordKind.Nothing, ends.ServerOpens(ClientUpdates(ends, NotRequested)).Kind);
            Assert.False(ends.Server.MustUpdateKey);
            ends.AssertTalk();
        }
    }

    [Theory]
    [MemberData(nameof(Algorithms))]
    public void The_answer_to_any_number_of_requests_is_one_key_update_in_front_of_the_next_data(string algorithm)
    {
        TlsEnds ends = Of("1.3", algorithm);
        for (int i = 0; i < 3; i++) ServerIsAsked(ends);

        byte[] sealedBytes = ends.ServerSeals("<down/>"u8);
        OpenedRecord update = ends.ClientOpens(sealedBytes);
        Assert.Equal((OpenedRecordKind.Nothing, TlsRecordWriter.KeyUpdateBytes), (update.Kind, update.Length));
        Assert.Equal("<down/>"u8.ToArray(), Open(ref ends.Client, sealedBytes.AsSpan(update.Length)).Data);
        Assert.False(ends.Server.MustUpdateKey);
        ends.AssertTalk();
    }

    [Fact]
    public void The_answer_can_be_sealed_by_itself()
    {
        TlsEnds ends = Of("1.3");
        ServerIsAsked(ends);
        byte[] buffer = new byte[TlsRecordWriter.KeyUpdateBytes];
        Assert.Equal(OpenedRecordKind.Nothing, ends.ClientOpens(TlsRecordWriter.SealKeyUpdate(ref ends.Server, buffer)).Kind);
        Assert.False(ends.Server.MustUpdateKey);
        ends.AssertTalk();
    }

    [Fact]
    public void The_end_needs_no_answer_before_it()
    {
        TlsEnds ends = Of("1.3");
        ServerIsAsked(ends);
        Assert.Equal(OpenedRecordKind.Ended, ends.ClientOpens(SealEnd(ref ends.Server, TlsAlert.CloseNotify)).Kind);
    }

    [Fact]
    public void A_key_update_may_be_cut_over_records_in_any_way_5_1()
    {
        for (int cuts = 0; cuts < 1 << (Requested.Length - 1); cuts++)
        {
            TlsEnds ends = Of("1.3");
            int start = 0;
            for (int end = 1; end <= Requested.Length; end++)
            {
                if (end < Requested.Length && (cuts & 1 << (end - 1)) == 0) continue;
                byte[] part = Requested[start..end];
                OpenedRecord opened = ends.ServerOpens(ends.ClientSeals(TlsContentType.Handshake, part, padding: cuts));
                Assert.Equal(end == Requested.Length ? OpenedRecordKind.KeyUpdateRequested : OpenedRecordKind.Nothing, opened.Kind);
                start = end;
            }

            ends.Client.UpdateWriteKey();
            ends.AssertTalk();
        }
    }

    [Theory]
    [InlineData(TlsContentType.ApplicationData, 0)]
    [InlineData(TlsContentType.ApplicationData, 4)]
    [InlineData(TlsContentType.Alert, 2)]
    public void Between_the_parts_of_a_message_nothing_else_may_come_5_1(object type, int length)
    {
        for (int part = 1; part < Requested.Length; part++)
        {
            TlsEnds ends = Of("1.3");
            Assert.Equal(OpenedRecordKind.Nothing, ends.ServerOpens(ends.ClientSeals(TlsContentType.Handshake, Requested.AsSpan(0, part))).Kind);
            AssertFault(TlsAlert.UnexpectedMessage, ends.ServerOpens(ends.ClientSeals((TlsContentType)type, new byte[length])));
        }
    }

    [Fact]
    public void Behind_a_key_update_nothing_may_be_in_the_same_record_5_1()
    {
        foreach (byte[] behind in new byte[][] { [24], NotRequested, [0] })
        {
            TlsEnds ends = Of("1.3");
            AssertFault(TlsAlert.UnexpectedMessage, ends.ServerOpens(ends.ClientSeals(TlsContentType.Handshake, [.. NotRequested, .. behind])));
        }
    }

    [Theory]
    [InlineData(TlsAlert.IllegalParameter, new byte[] { 24, 0, 0, 1, 2 })]
    [InlineData(TlsAlert.IllegalParameter, new byte[] { 24, 0, 0, 1, 255 })]
    [InlineData(TlsAlert.DecodeError, new byte[] { 24, 0, 0, 0 })]
    [InlineData(TlsAlert.DecodeError, new byte[] { 24, 0, 0, 2, 0, 0 })]
    [InlineData(TlsAlert.DecodeError, new byte[] { 24, 255, 255, 255, 0 })]
    [InlineData(TlsAlert.UnexpectedMessage, new byte[] { 1 })]
    [InlineData(TlsAlert.UnexpectedMessage, new byte[] { 4, 0, 0, 0 })]
    [InlineData(TlsAlert.UnexpectedMessage, new byte[] { 20, 0, 0, 32 })]
    public void Other_messages_are_refused_by_the_server(object alert, byte[] message)
    {
        TlsEnds ends = Of("1.3");
        AssertFault((TlsAlert)alert, ends.ServerOpens(ends.ClientSeals(TlsContentType.Handshake, message)));
        ends = Of("1.3");
        for (int i = 0; i < message.Length - 1; i++)
        {
            OpenedRecord opened = ends.ServerOpens(ends.ClientSeals(TlsContentType.Handshake, message.AsSpan(i, 1)));
            if (opened.Kind == OpenedRecordKind.Nothing) continue;
            AssertFault((TlsAlert)alert, opened);
            return;
        }

        AssertFault((TlsAlert)alert, ends.ServerOpens(ends.ClientSeals(TlsContentType.Handshake, message.AsSpan(message.Length - 1))));
    }

    [Fact]
    public void More_than_64_key_updates_in_a_row_end_the_connection()
    {
        TlsEnds ends = Of("1.3");
        for (int i = 0; i < TlsRecordReader.MaxRecordsWithoutData; i++)
            Assert.Equal(OpenedRecordKind.KeyUpdateRequested, ends.ServerOpens(ClientUpdates(ends, Requested)).Kind);
        AssertFault(TlsAlert.UnexpectedMessage, ends.ServerOpens(ClientUpdates(ends, Requested)));
    }

    [Fact]
    public void A_client_passes_over_the_tickets_of_its_server_however_they_are_cut()
    {
        byte[] ticket = [4, 0, 1, 0, .. new byte[256]];
        byte[] messages = [.. ticket, .. ticket, .. Requested];
        foreach (int length in new[] { 1, 2, 3, 7, 255, 256, 260, 261, messages.Length })
        {
            TlsEnds ends = Of("1.3");
            for (int start = 0; start < messages.Length; start += length)
            {
                byte[] part = messages[start..Math.Min(messages.Length, start + length)];
                ends.Client.RecordsWithoutData = 0;
                OpenedRecord opened = ends.ClientOpens(ends.ServerSeals(TlsContentType.Handshake, part));
                bool isLast = start + length >= messages.Length;
                Assert.Equal(isLast ? OpenedRecordKind.KeyUpdateRequested : OpenedRecordKind.Nothing, opened.Kind);
            }

            ends.Server.UpdateWriteKey();
            ends.AssertTalk();
        }
    }

    [Theory]
    [MemberData(nameof(Algorithms))]
    public void Our_key_is_updated_long_before_the_limit_of_AES_GCM_5_5(string algorithm)
    {
        Assert.True(TlsConnectionState.RecordsBetweenKeyUpdates * 4 <= (1UL << 24));
        TlsEnds ends = Of("1.3", algorithm);
        ends.Server.Write.Sequence = ends.Client.Read.Sequence = TlsConnectionState.RecordsBetweenKeyUpdates - 1;
        ends.AssertTalk();
        Assert.True(ends.Server.MustUpdateKey);
        byte[] sealedBytes = ends.ServerSeals("<down/>"u8);
        Assert.Equal(OpenedRecordKind.Nothing, ends.ClientOpens(sealedBytes).Kind);
        Assert.Equal("<down/>"u8.ToArray(), Open(ref ends.Client, sealedBytes.AsSpan(TlsRecordWriter.KeyUpdateBytes)).Data);
        Assert.Equal((1UL, 1UL), (ends.Server.Write.Sequence, ends.Client.Read.Sequence));
        Assert.False(ends.Server.MustUpdateKey);
    }

    [Fact]
    public void A_connection_of_TLS_1_2_which_cannot_update_keys_is_to_end_before_the_limit()
    {
        TlsEnds ends = Of("1.2");
        ends.Server.Write.Sequence = ends.Client.Read.Sequence = (1UL << 24) - 1;
        Assert.False(ends.Server.MustEnd);
        ends.AssertTalk();
        Assert.True(ends.Server.MustEnd);
        Assert.False(ends.Server.MustUpdateKey);
        Assert.Equal(OpenedRecordKind.Ended, ends.ClientOpens(SealEnd(ref ends.Server, TlsAlert.CloseNotify)).Kind);

        ends = Of("1.2", nameof(AeadAlgorithm.ChaCha20Poly1305));
        ends.Server.Write.Sequence = 1UL << 40;
        Assert.False(ends.Server.MustEnd);
    }

    private static byte[] ClientUpdates(TlsEnds ends, byte[] message)
    {
        byte[] record = ends.ClientSeals(TlsContentType.Handshake, message);
        ends.Client.UpdateWriteKey();
        return record;
    }

    private static void ServerIsAsked(TlsEnds ends)
    {
        Assert.Equal(OpenedRecordKind.KeyUpdateRequested, ends.ServerOpens(ClientUpdates(ends, Requested)).Kind);
        ends.Server.OweKeyUpdate();
        Assert.True(ends.Server.MustUpdateKey);
    }
}
