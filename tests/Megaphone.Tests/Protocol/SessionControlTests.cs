using System.Text;
using Megaphone.Protocol;
using Xunit;

namespace Megaphone.Tests.Protocol;

/// <summary>Control messages about one session, against section 4 of the link protocol.</summary>
public class SessionControlTests
{
    [Theory]
    [InlineData(1UL)]
    [InlineData(ulong.MaxValue)]
    public void Each_has_the_form_of_the_protocol_and_can_be_read(ulong id)
    {
        Assert.Equal($$"""{"op":"pause","id":"{{id}}"}""", Text(SessionControl.Pause(id)));
        Assert.Equal($$"""{"op":"resume","id":"{{id}}"}""", Text(SessionControl.Resume(id)));
        Assert.Equal($$"""{"op":"reset","id":"{{id}}","reason":"half_open_timeout"}""", Text(SessionControl.Reset(id, "half_open_timeout")));

        Assert.Equal(new ControlMessage { Op = ControlOp.Pause, Id = id }, Read(SessionControl.Pause(id)));
        Assert.Equal(new ControlMessage { Op = ControlOp.Resume, Id = id }, Read(SessionControl.Resume(id)));
        Assert.Equal(new ControlMessage { Op = ControlOp.Reset, Id = id, Reason = "gone" }, Read(SessionControl.Reset(id, "gone")));
    }

    [Fact]
    public void The_longest_fits_into_MaxBytes()
    {
        string reason = new('x', 64);
        Assert.Equal(reason, Read(SessionControl.Reset(ulong.MaxValue, reason)).Reason);
    }

    [Theory]
    [InlineData("with space")]
    [InlineData("\"")]
    [InlineData("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")]
    public void A_reason_is_one_word(string reason) => Assert.Throws<ArgumentException>(() => SessionControl.Reset(1, reason));

    [Fact]
    public void Formatting_allocates_nothing()
    {
        byte[] content = new byte[SessionControl.MaxBytes];
        SessionControl.Reset(7, "link_lost").Format(content);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong id = 1; id <= 1000; id++)
        {
            SessionControl.Pause(id).Format(content);
            SessionControl.Reset(id, "link_lost").Format(content);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static string Text(SessionControl message)
    {
        byte[] content = new byte[SessionControl.MaxBytes];
        return Encoding.UTF8.GetString(content, 0, message.Format(content));
    }

    private static ControlMessage Read(SessionControl message)
    {
        Assert.True(ControlReader.TryRead(Encoding.UTF8.GetBytes(Text(message)), out ControlMessage? read, out string? problem), problem);
        return read!;
    }
}
