using Megaphone.Configuration;
using Xunit;

namespace Megaphone.Tests.Configuration;

public sealed class SecretFileTests : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString());

    public void Dispose() => File.Delete(_file);

    [Theory]
    [InlineData("of the link")]
    [InlineData("of the link\n")]
    [InlineData("of the link\r\n")]
    public void The_only_line_of_the_file_is_the_secret(string content)
    {
        File.WriteAllText(_file, content);
        Assert.Equal("of the link", Configured.Right($$"""{ "Hub": { "SecretFile": "{{_file}}" } }""").Hub!.Link.Secret);
        Assert.Equal("of the link", Configured.Right($$"""{ "Ecm": { "Link": { "SecretFile": "{{_file}}" } } }""").Ecm!.Link.Secret);
        Configured.Right($$"""{ "Hub": { "Listen": "0.0.0.0:6280", "SecretFile": "{{_file}}" } }""");
    }

    [Theory]
    [InlineData("short", "has a secret that is shorter than 8 characters")]
    [InlineData("", "has a secret that is shorter than 8 characters")]
    [InlineData("one secret\nanother secret\n", "has more than one line, and the secret is one")]
    public void What_cannot_be_a_secret_is_refused_and_not_shown(string content, string wrong)
    {
        File.WriteAllText(_file, content);
        Assert.Equal(
            $"Hub:SecretFile \"{_file}\" from FILE: {wrong}; for example /run/credentials/megaphone.service/link-secret",
            Assert.Single(Configured.Load($$"""{ "Hub": { "SecretFile": "{{_file}}" } }""").Problems));
    }

    [Fact]
    public void A_file_that_is_too_long_is_not_there_or_is_no_text_is_refused()
    {
        File.WriteAllBytes(_file, new byte[2000]);
        Assert.StartsWith("has more than 1024 bytes", Problem(), StringComparison.Ordinal);
        File.WriteAllBytes(_file, [0xFF, 0xFE, 1, 2, 3, 4, 5, 6, 7, 8]);
        Assert.Equal("is not UTF-8", Problem());
        File.Delete(_file);
        Assert.StartsWith("cannot be read: Could not find file", Problem(), StringComparison.Ordinal);

        string? Problem() => SecretFile.Read(_file, out _);
    }

    [Fact]
    public void It_takes_the_place_of_the_value()
    {
        File.WriteAllText(_file, "of the link");
        string json = $$"""{ "Hub": { "Secret": "of the hub", "SecretFile": "{{_file}}" } }""";
        Assert.Contains("takes the place of Hub:Secret", Assert.Single(Configured.Load(json).Problems), StringComparison.Ordinal);
        Assert.Equal("of the link", Configured.Right(json, [], "--Hub:Secret=").Hub!.Link.Secret);
    }
}
