using System.Security.Cryptography;
using Megaphone.Bench;
using Xunit;

namespace Megaphone.Tests.Bench;

public class ScramExchangeTests
{
    private const string Challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";

    [Fact]
    public void The_example_of_RFC_5802_section_5()
    {
        ScramExchange exchange = new("user", "pencil", "fyko+d2lbbFgONRv9qkxdawL", new ScramKeys(HashAlgorithmName.SHA1));

        Assert.Equal("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", exchange.First);
        Assert.True(exchange.TryAnswer(Challenge, out string? final, out _));
        Assert.Equal("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", final);
        Assert.True(exchange.IsProof("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
        Assert.False(exchange.IsProof("v=rmF9pqV8S7suAoZWja4dJRkFsKR="));
    }

    [Fact]
    public void The_example_of_RFC_7677_section_3()
    {
        ScramExchange exchange = new("user", "pencil", "rOprNGfwEbeRWgbNEkqO", new ScramKeys(HashAlgorithmName.SHA256));

        Assert.True(exchange.TryAnswer(
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", out string? final, out _));
        Assert.Equal(
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", final);
        Assert.True(exchange.IsProof("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    [Fact]
    public void Commas_and_equals_signs_in_names_are_escaped()
    {
        Assert.Equal("n,,n=a=2Cb=3Dc,r=x", new ScramExchange("a,b=c", "p", "x", new ScramKeys(HashAlgorithmName.SHA1)).First);
    }

    [Theory]
    [InlineData("r=another,s=QSXCR+Q6sek8bf92,i=4096", "a SCRAM challenge without our nonce")]
    [InlineData("s=QSXCR+Q6sek8bf92,i=4096", "a SCRAM challenge without our nonce")]
    [InlineData("r=oursandtheirs,s=QSXCR+Q6sek8bf92,i=0", "a SCRAM challenge whose iterations are not 1 to 1000000")]
    [InlineData("r=oursandtheirs,s=QSXCR+Q6sek8bf92,i=1000001", "a SCRAM challenge whose iterations are not 1 to 1000000")]
    [InlineData("r=oursandtheirs,s=QSXCR+Q6sek8bf92", "a SCRAM challenge whose iterations are not 1 to 1000000")]
    [InlineData("r=oursandtheirs,s=%,i=1", "a SCRAM challenge without a salt")]
    [InlineData("r=oursandtheirs,i=1", "a SCRAM challenge without a salt")]
    public void An_invalid_challenge_is_refused_with_a_reason(string challenge, string reason)
    {
        ScramExchange exchange = new("user", "pencil", "ours", new ScramKeys(HashAlgorithmName.SHA1));

        Assert.False(exchange.TryAnswer(challenge, out _, out string? problem));
        Assert.Equal(reason, problem);
    }

    [Fact]
    public void Without_a_challenge_no_proof_is_valid()
    {
        Assert.False(new ScramExchange("user", "pencil", "ours", new ScramKeys(HashAlgorithmName.SHA1)).IsProof(""));
    }
}
