using Megaphone.Values;
using Xunit;

namespace Megaphone.Tests.Values;

public class ValueTextTests
{
    [Theory]
    [InlineData("250ms", "00:00:00.25", "250ms")]
    [InlineData("30s", "00:00:30", "30s")]
    [InlineData("90s", "00:01:30", "90s")]
    [InlineData("5m", "00:05:00", "5m")]
    [InlineData("24h", "1.00:00:00", "24h")]
    [InlineData("0s", "00:00:00", "0s")]
    [InlineData("0h", "00:00:00", "0s")]
    [InlineData("00:05:00", "00:05:00", "5m")]
    [InlineData("1:2:3", "01:02:03", "3723s")]
    [InlineData("00:00:00.5", "00:00:00.5", "500ms")]
    [InlineData("1.00:00:00", "1.00:00:00", "24h")]
    [InlineData("00:00:00.0000001", "00:00:00.0000001", "00:00:00.0000001")]
    public void A_duration_has_a_unit_or_three_parts(string text, string duration, string written)
    {
        Assert.True(DurationText.TryParse(text, out TimeSpan value));
        Assert.Equal(TimeSpan.Parse(duration), value);
        Assert.Equal(written, DurationText.Of(value));
    }

    [Theory]
    [InlineData("30")]
    [InlineData("24:00:00")]
    [InlineData("1.5s")]
    [InlineData("-1s")]
    [InlineData("1 s")]
    [InlineData("1S")]
    [InlineData("1d")]
    [InlineData("s")]
    [InlineData("")]
    [InlineData("999999999999h")]
    public void Anything_else_is_no_duration(string text) => Assert.False(DurationText.TryParse(text, out _));

    [Theory]
    [InlineData("0", 0, "0")]
    [InlineData("500", 500, "500")]
    [InlineData("65536", 65536, "64K")]
    [InlineData("64K", 65536, "64K")]
    [InlineData("1536K", 1536 << 10, "1536K")]
    [InlineData("16M", 16 << 20, "16M")]
    [InlineData("1G", 1 << 30, "1G")]
    [InlineData("1024T", 1L << 50, "1024T")]
    public void A_size_is_bytes_or_a_power_of_two_times_a_number(string text, long size, string written)
    {
        Assert.True(SizeText.TryParse(text, out long value));
        Assert.Equal(size, value);
        Assert.Equal(written, SizeText.Of(value));
    }

    [Theory]
    [InlineData("64k")]
    [InlineData("64KB")]
    [InlineData("1.5M")]
    [InlineData("-1")]
    [InlineData("K")]
    [InlineData("")]
    [InlineData("9999999999G")]
    public void Anything_else_is_no_size(string text) => Assert.False(SizeText.TryParse(text, out _));

    [Fact]
    public void Arguments_are_options_with_values_and_words()
    {
        Assert.Equal(
            [
                new Argument("a", "b"), new Argument(null, "c"), new Argument("d", "e=f"), new Argument("g", null), new Argument("h", ""),
                new Argument(null, "--"), new Argument("i", "-1"), new Argument("j", null),
            ],
            Argument.Parse(["--a", "b", "c", "--d=e=f", "--g", "--h=", "--", "--i", "-1", "--j"]));
    }
}
