"""The latent space: TextVAE, latents, decoding, geometry and priors."""
